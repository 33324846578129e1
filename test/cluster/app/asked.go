package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// asked is what came of questions to somebody else.
type asked struct {
	mu sync.Mutex

	// Answers by the last word of each, which is a version; Failed are those
	// that were none, and Failures the first of these in words.
	Answers  map[string]int
	Failed   int
	Failures []string
	// Last is the last word of the last answer, Same how often in a row.
	Last string
	Same int
}

// patience is how long an answer may take.
const patience = 5 * time.Second

// ask asks for ever, at a rate that does not wait for answers.
func (a *asked) ask(url string, perSecond int) {
	// A connection that is kept would lead to the same instance for ever.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

	for range time.Tick(time.Second / time.Duration(max(1, perSecond))) {
		go func() { a.note(once(client, url)) }()
	}
}

func once(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()

	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}

	words := strings.Fields(string(text))
	if response.StatusCode != http.StatusOK || len(words) == 0 {
		return "", fmt.Errorf("answered %s: %s", response.Status, text)
	}

	return words[len(words)-1], nil
}

func (a *asked) note(word string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()

	if err != nil {
		a.Failed++

		if len(a.Failures) < 10 {
			a.Failures = append(a.Failures, time.Now().UTC().Format("15:04:05.000 ")+err.Error())
		}

		return
	}

	if a.Answers == nil {
		a.Answers = map[string]int{}
	}

	if a.Last != word {
		a.Last, a.Same = word, 0
	}

	a.Answers[word]++
	a.Same++
}

func (a *asked) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()

	if err := json.NewEncoder(w).Encode(a); err != nil {
		fmt.Println("cannot answer:", err)
	}
}
