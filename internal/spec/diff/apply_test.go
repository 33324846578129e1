package diff

import (
	"encoding/json"
	"errors"
	"testing"
)

// TestApply holds the operations to RFC 6902, its appendix A among the cases.
func TestApply(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		document, operations, want string
		err                        error
	}{
		"A.1 a member":               {`{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"baz":"qux","foo":"bar"}`, nil},
		"A.2 an element":             {`{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`, nil},
		"A.3 remove a member":        {`{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`, nil},
		"A.4 remove an element":      {`{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`, nil},
		"A.5 replace":                {`{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`, nil},
		"A.6 move a member":          {`{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`, `{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`, nil},
		"A.7 move an element":        {`{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`, nil},
		"A.8 test":                   {`{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`, `{"baz":"qux","foo":["a",2,"c"]}`, nil},
		"A.9 test fails":             {`{"baz":"qux"}`, `[{"op":"test","path":"/baz","value":"bar"}]`, ``, ErrTest},
		"A.10 nested":                {`{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"child":{"grandchild":{}},"foo":"bar"}`, nil},
		"A.11 unknown members":       {`{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"baz":"qux","foo":"bar"}`, nil},
		"A.12 no parent":             {`{"foo":"bar"}`, `[{"op":"add","path":"/baz/bat","value":"qux"}]`, ``, ErrMissing},
		"A.14 escapes":               {`{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`, nil},
		"A.15 text is no number":     {`{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":"10"}]`, ``, ErrTest},
		"A.16 the end of a list":     {`{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`, nil},
		"copy":                       {`{"a":{"b":1}}`, `[{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}]`, `{"a":{"b":1},"c":{"b":2}}`, nil},
		"the whole document":         {`{"a":1}`, `[{"op":"replace","path":"","value":[1]},{"op":"add","path":"/0","value":0}]`, `[0,1]`, nil},
		"no name":                    {`{"":{"":1}}`, `[{"op":"replace","path":"//","value":2}]`, `{"":{"":2}}`, nil},
		"null is a value":            {`{"a":null}`, `[{"op":"test","path":"/a","value":null},{"op":"remove","path":"/a"}]`, `{}`, nil},
		"null is there":              {`{}`, `[{"op":"test","path":"/a","value":null}]`, ``, ErrMissing},
		"add null":                   {`{}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null}`, nil},
		"move to itself":             {`{"a":1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1}`, nil},
		"move into itself":           {`{"a":{}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, ``, ErrForm},
		"index with a leading zero":  {`{"a":[1,2]}`, `[{"op":"remove","path":"/a/01"}]`, ``, ErrIndex},
		"negative index":             {`{"a":[1,2]}`, `[{"op":"remove","path":"/a/-1"}]`, ``, ErrIndex},
		"past the end":               {`{"a":[1]}`, `[{"op":"add","path":"/a/2","value":2}]`, ``, ErrIndex},
		"remove past the end":        {`{"a":[1]}`, `[{"op":"remove","path":"/a/-"}]`, ``, ErrIndex},
		"remove nothing":             {`{}`, `[{"op":"remove","path":"/a"}]`, ``, ErrMissing},
		"replace nothing":            {`{}`, `[{"op":"replace","path":"/a","value":1}]`, ``, ErrMissing},
		"into a scalar":              {`{"a":1}`, `[{"op":"add","path":"/a/b","value":1}]`, ``, ErrMissing},
		"remove the document":        {`{}`, `[{"op":"remove","path":""}]`, ``, ErrForm},
		"no operation":               {`{}`, `[{"op":"swap","path":"/a"}]`, ``, ErrForm},
		"no pointer":                 {`{}`, `[{"op":"add","path":"a","value":1}]`, ``, ErrForm},
		"all or nothing, the second": {`{"a":1}`, `[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]`, ``, ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			document, err := Decode([]byte(c.document))
			if err != nil {
				t.Fatal(err)
			}

			var operations []Operation
			if err := json.Unmarshal([]byte(c.operations), &operations); err != nil {
				t.Fatal(err)
			}

			got, err := Apply(document, operations)
			if !errors.Is(err, c.err) || err == nil && string(encode(got)) != c.want {
				t.Errorf("got %s (%v), want %s (%v)", encode(got), err, c.want, c.err)
			}

			if before := encode(document); string(before) != c.document {
				t.Errorf("the document became %s", before)
			}
		})
	}
}

func TestCopiesAreBounded(t *testing.T) {
	t.Parallel()

	operations := []Operation{{Op: Add, Path: "/a", Value: map[string]any{}}}
	for range 40 {
		operations = append(operations, Operation{Op: Copy, From: "/a", Path: "/a/b"}, Operation{Op: Copy, From: "/a", Path: "/a/c"})
	}

	if _, err := Apply(map[string]any{}, operations); !errors.Is(err, ErrLarge) {
		t.Errorf("the error is %v", err)
	}
}

func TestOperationsAreRead(t *testing.T) {
	t.Parallel()

	for name, text := range map[string]string{
		"no path": `{"op":"remove"}`, "no value": `{"op":"add","path":"/a"}`, "no from": `{"op":"move","path":"/a"}`,
		"a number": `{"op":1,"path":"/a"}`, "no object": `[]`, "masked": `{"op":"add","path":"/a","masked":true}`,
	} {
		var o Operation
		if err := json.Unmarshal([]byte(text), &o); err == nil {
			t.Errorf("%s was read as %+v", name, o)
		}
	}
}
