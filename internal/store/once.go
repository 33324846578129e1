package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/gowebpki/jcs"

	"github.com/shiplog/shiplog/ent/db/idempotencykey"
	"github.com/shiplog/shiplog/internal/fault"
)

// MaxKey bounds an idempotency key, in bytes.
const MaxKey = 200

// ValidateKey accepts an idempotency key: at most MaxKey bytes of printable
// text. "" means none.
func ValidateKey(key string) error {
	if len(key) > MaxKey {
		return fault.Invalid("idempotencyKey", "has %d bytes; accepted are at most %d", len(key), MaxKey)
	}

	for at, r := range key {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fault.Invalid("idempotencyKey", "contains %U at byte %d; accepted is printable text on one line", r, at)
		}
	}

	return nil
}

// Call is a keyed mutation.
type Call struct {
	// Caller and Mutation are the scope of Key; an empty Key means none.
	Caller, Mutation, Key string
	// Input is digested as JSON; the key is not part of it.
	Input any
}

// Once runs body in a write transaction, at most once for the call's key: the
// same key with the same input gives the stored result again (replayed).
// Without a key it is a plain WithTx. R is what makes the same answer again:
// ids and flags.
// Errors: CONFLICT (field idempotencyKey) for the same key with other input;
// those of WithTx.
func Once[R any](ctx context.Context, s *Store, call Call, body func(ctx context.Context, tx *Tx) (R, error)) (result R, replayed bool, err error) {
	if call.Key == "" {
		err = s.WithTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
			result, err = body(ctx, tx)

			return err
		})

		return result, false, err
	}

	if err := ValidateKey(call.Key); err != nil {
		return result, false, err
	}

	digest, err := inputDigest(call.Input)
	if err != nil {
		return result, false, err
	}

	err = s.WithTx(ctx, func(ctx context.Context, tx *Tx) error {
		var zero R

		result, replayed = zero, false

		first, err := tx.claim(ctx, call, digest)
		if err != nil {
			return err
		}

		where := idempotencykey.And(idempotencykey.Caller(call.Caller), idempotencykey.Mutation(call.Mutation), idempotencykey.Key(call.Key))

		if !first {
			row, err := tx.IdempotencyKey.Query().Where(where).Only(ctx)
			if err != nil {
				return fmt.Errorf("read idempotency key: %w", err)
			}

			if row.InputDigest != digest {
				return fault.New(fault.Conflict, "this key was used for %s with other input", call.Mutation).At("idempotencyKey")
			}

			replayed = true

			return json.Unmarshal(row.Result, &result)
		}

		result, err = body(ctx, tx)
		if err != nil {
			return err
		}

		raw, err := json.Marshal(result)
		if err != nil {
			return err
		}

		return tx.IdempotencyKey.Update().Where(where).SetResult(raw).Exec(ctx)
	})

	return result, replayed, err
}

// claim inserts the key's row; a second caller waits here for the first one's
// transaction to end.
func (tx *Tx) claim(ctx context.Context, call Call, digest string) (first bool, err error) {
	query, args := entsql.Dialect(tx.store.dialect).Insert(idempotencykey.Table).
		Columns(idempotencykey.FieldCaller, idempotencykey.FieldMutation, idempotencykey.FieldKey, idempotencykey.FieldInputDigest, idempotencykey.FieldResult, idempotencykey.FieldCreatedAt).
		Values(call.Caller, call.Mutation, call.Key, digest, "{}", Now()).
		OnConflict(entsql.ConflictColumns(idempotencykey.FieldCaller, idempotencykey.FieldMutation, idempotencykey.FieldKey), entsql.DoNothing()).Query()

	result, err := tx.raw.ExecContext(ctx, query, args...)
	if err != nil {
		return false, fmt.Errorf("claim idempotency key: %w", err)
	}

	n, err := result.RowsAffected()

	return n == 1, err
}

func inputDigest(input any) (string, error) {
	raw, err := json.Marshal(input)
	if err != nil {
		return "", fmt.Errorf("digest input: %w", err)
	}

	canonical, err := jcs.Transform(raw)
	if err != nil {
		return "", fmt.Errorf("digest input: %w", err)
	}

	sum := sha256.Sum256(canonical)

	return hex.EncodeToString(sum[:]), nil
}
