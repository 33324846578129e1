package deployment

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// Registry says which digest a reference means now. Errors are coded;
// UNAVAILABLE may be asked again later.
type Registry interface {
	Digest(ctx context.Context, reference string) (string, error)
}

// askAtOnce bounds the questions of one planning that are under way at once.
const askAtOnce = 4

// errAway: a registry gave no answer that could be taken for one. The
// deployment waits and asks again.
var errAway = errors.New("a registry is away")

// errImage: a registry has no such image for us. That ends the deployment.
var errImage = errors.New("an image is not to be had")

// unasked stands for a digest that will be asked for when it is planned to be
// applied: a request is checked within its transaction, where no registry is
// asked.
const unasked = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// checked is the input as it will be once registries have been asked.
func (e *Engine) checked(in spec.RenderInput) (spec.RenderInput, error) {
	open, err := e.open(in)
	if err != nil || len(open) == 0 {
		return in, err
	}

	digests := make(map[string]string, len(open))
	for _, reference := range open {
		digests[reference] = unasked
	}

	return in.Pin(digests), nil
}

// open gives what registries have to be asked for; nothing without registries:
// then it is refused.
func (e *Engine) open(in spec.RenderInput) ([]string, error) {
	if e.registry == nil {
		return nil, nil
	}

	return spec.UnpinnedImages(in)
}

// asked gives the input with the digests that registries tell now. Nothing is
// stored. It is called outside of transactions.
func (e *Engine) asked(ctx context.Context, in spec.RenderInput, environment *db.Environment) (spec.RenderInput, error) {
	digests, err := e.ask(ctx, in, environment)
	if err != nil || len(digests) == 0 {
		return in, err
	}

	return in.Pin(digests), nil
}

// resolved gives the input with the digests of the version: those that were
// stored first, or that registries tell now and that are stored for good. What
// a tag means later changes nothing about this version.
func (e *Engine) resolved(ctx context.Context, in spec.RenderInput, service *db.Service, environment *db.Environment, version *db.Version) (spec.RenderInput, error) {
	digests, err := e.ask(ctx, in, environment)
	if err != nil || len(digests) == 0 {
		return in, err
	}

	var kept map[string]string

	err = e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		kept, err = catalog.KeepDigests(ctx, tx, service, version.ID, digests)

		return err
	})
	if err != nil {
		return in, err
	}

	return in.Pin(kept), nil
}

// ask asks registries for what is open, all at once.
func (e *Engine) ask(ctx context.Context, in spec.RenderInput, environment *db.Environment) (map[string]string, error) {
	open, err := e.open(in)
	if err != nil || len(open) == 0 {
		return nil, err
	}

	var mu sync.Mutex

	digests := make(map[string]string, len(open))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce)

	for _, reference := range open {
		group.Go(func() error {
			digest, err := e.registry.Digest(asking, reference)
			if err != nil {
				return unresolved(err, environment)
			}

			mu.Lock()
			defer mu.Unlock()

			digests[reference] = digest

			return nil
		})
	}

	return digests, group.Wait()
}

// unresolved says for which environment an image could not be resolved.
func unresolved(cause error, environment *db.Environment) error {
	refusal, ok := errors.AsType[*fault.Error](cause)

	switch {
	case !ok:
		return cause
	case refusal.Code == fault.Unavailable:
		return fault.Wrap(errors.Join(errAway, cause), fault.Unavailable, "what %s is to run is a digest, and %s", environment.Name, refusal.Message).At("version")
	default:
		// Not the registry's code: UNAUTHENTICATED and the like would be taken
		// for our own answer to the caller.
		return fault.Wrap(errors.Join(errImage, cause), fault.InvalidInput, "what %s is to run is a digest, and %s", environment.Name, refusal.Message).At("version")
	}
}
