package deployment

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/snapshot"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// planned is a snapshot that is ready to be applied. That of an UNDEPLOY is
// nil and has no digest: nothing is wanted.
type planned struct {
	snapshot *spec.Snapshot
	digest   string
	layers   map[string]string
	// binding is where it goes: outside the digest.
	binding spec.Binding
}

// input is what the version's snapshot for the target is made from, with the
// digests that are stored. Nothing is stored, and no registry asked.
func (e *Engine) input(ctx context.Context, client *db.Client, service *db.Service, environment *db.Environment, to *db.Target, version *db.Version) (spec.RenderInput, error) {
	workload, err := catalog.Workload(ctx, client, version)
	if err != nil {
		return spec.RenderInput{}, err
	}

	configuration, layers, err := catalog.Effective(ctx, client, service.ID, environment.ID)
	if err != nil {
		return spec.RenderInput{}, err
	}

	in := spec.RenderInput{
		Target: spec.TargetKind(to.Kind), Service: service.Name, Images: catalog.ImagesOf(version), Workload: workload,
		Configuration: configuration, Layers: layers,
	}

	if in.Target == spec.TargetKubernetes {
		in.Digests, err = catalog.Digests(ctx, client, version.ID)
	}

	return in, err
}

// plan renders the input. Errors: those of spec.Render and spec.Place;
// INVALID_INPUT when the deployer cannot run it.
func (e *Engine) plan(in spec.RenderInput, binding spec.Binding) (planned, error) {
	shot, err := spec.Render(in)
	if err != nil {
		return planned{}, err
	}

	digest, err := shot.Digest()
	if err != nil {
		return planned{}, err
	}

	return planned{snapshot: shot, digest: digest, layers: in.Layers, binding: binding}, e.supported(in.Target, shot, binding)
}

// removal is the plan of an UNDEPLOY. Errors: INVALID_INPUT when this server
// cannot act there.
func (e *Engine) removal(service *db.Service, environment *db.Environment, to *db.Target) (planned, error) {
	p := planned{binding: bindingOf(service, environment, to, nil)}

	return p, e.supported(spec.TargetKind(to.Kind), nil, p.binding)
}

// bindingOf gives the place at a target. It follows from rows that a
// deployment keeps and names that never change, so it is the same every time.
func bindingOf(service *db.Service, environment *db.Environment, to *db.Target, version *db.Version) spec.Binding {
	if to.Kind != target.KindKUBERNETES {
		return spec.Binding{}
	}

	names := strings.NewReplacer("{service}", service.Name, "{environment}", environment.Name)
	binding := spec.Binding{
		Namespace: spec.Namespace(value(to.Namespace), service.Name, environment.Name), Environment: environment.Name,
		Host: names.Replace(value(to.Host)), Allow: spec.PermissionsOf(to.Allow),
	}

	if version != nil {
		binding.Version = version.Name
	}

	return binding
}

// supported refuses what the target does not let in, and what its deployer
// cannot run. A nil snapshot is what every deployer can do.
func (e *Engine) supported(kind spec.TargetKind, shot *spec.Snapshot, binding spec.Binding) error {
	if shot != nil && kind == spec.TargetKubernetes {
		if _, err := spec.Place(shot, binding); err != nil {
			return err
		}
	}

	d, ok := e.deployers[kind]
	if !ok {
		return fault.Invalid("environment", "this server has no deployer for %s targets%s", kind, hint(kind))
	}

	if shot == nil {
		return nil
	}

	if err := d.Supports(shot); err != nil {
		return fault.Invalid("version", "%s", err)
	}

	return nil
}

func hint(kind spec.TargetKind) string {
	if kind == spec.TargetProcess {
		return ": start it with --dev"
	}

	if kind == spec.TargetKubernetes {
		return ": give it a connection"
	}

	return ""
}

// putSnapshot stores the snapshot once and gives its id; nil where nothing is
// wanted.
func putSnapshot(ctx context.Context, tx *store.Tx, p planned) (*string, error) {
	if p.snapshot == nil {
		return nil, nil //nolint:nilnil // no snapshot is an answer
	}

	row, err := tx.Snapshot.Query().Where(snapshot.Digest(p.digest)).Only(ctx)

	switch {
	case err == nil:
		return &row.ID, nil
	case !db.IsNotFound(err):
		return nil, err
	}

	content, err := json.Marshal(p.snapshot)
	if err != nil {
		return nil, fmt.Errorf("write snapshot: %w", err)
	}

	document, err := catalog.PutDocument(ctx, tx, string(content))
	if err != nil {
		return nil, err
	}

	snapshotID, err := id.New(id.Snapshot)
	if err != nil {
		return nil, err
	}

	err = tx.Snapshot.Create().SetID(snapshotID).SetDigest(p.digest).SetContentDigest(document).SetRenderer(p.snapshot.Renderer).
		SetTarget(snapshot.Target(p.snapshot.Target)).SetCreatedAt(store.Now()).
		OnConflict(entsql.ConflictColumns(snapshot.FieldDigest), entsql.ResolveWithIgnore()).Exec(ctx)
	if err != nil {
		return nil, err
	}

	// Another transaction may have been quicker: its row counts.
	known, err := tx.Snapshot.Query().Where(snapshot.Digest(p.digest)).OnlyID(ctx)

	return &known, err
}

// Snapshot loads the content of a snapshot.
func Snapshot(ctx context.Context, client *db.Client, row *db.Snapshot) (*spec.Snapshot, error) {
	document, err := client.Document.Get(ctx, row.ContentDigest)
	if err != nil {
		return nil, store.Classify(err)
	}

	var shot spec.Snapshot
	if err := json.Unmarshal([]byte(document.Content), &shot); err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", row.ID, err)
	}

	return &shot, nil
}

// planOf gives the snapshot of a deployment: the one that was fixed when it
// was made, or a fresh one; none for an UNDEPLOY.
func (e *Engine) planOf(ctx context.Context, d *db.Deployment) (planned, error) {
	binding := bindingOf(d.Edges.Service, d.Edges.Environment, d.Edges.Target, d.Edges.Version)

	switch {
	case d.Kind == deployment.KindUNDEPLOY:
		return e.removal(d.Edges.Service, d.Edges.Environment, d.Edges.Target)
	case d.SnapshotID == nil:
		return e.planFirst(ctx, d, binding)
	}

	row, err := e.store.Read.Snapshot.Get(ctx, *d.SnapshotID)
	if err != nil {
		return planned{}, store.Classify(err)
	}

	shot, err := Snapshot(ctx, e.store.Read, row)
	if err != nil {
		return planned{}, err
	}

	return planned{snapshot: shot, digest: row.Digest, layers: d.Layers, binding: binding}, e.supported(spec.TargetKind(d.Edges.Target.Kind), shot, binding)
}

// planFirst makes the snapshot of a deployment, outside of any transaction.
func (e *Engine) planFirst(ctx context.Context, d *db.Deployment, binding spec.Binding) (planned, error) {
	in, err := e.input(ctx, e.store.Read, d.Edges.Service, d.Edges.Environment, d.Edges.Target, d.Edges.Version)
	if err != nil {
		return planned{}, err
	}

	// What would be refused anyway is refused without asking anybody.
	complete, err := e.checked(in)
	if err != nil {
		return planned{}, err
	}

	if p, err := e.plan(complete, binding); err != nil {
		return p, err
	}

	if in, err = e.resolved(ctx, in, d.Edges.Service, d.Edges.Environment, d.Edges.Version); err != nil {
		return planned{}, err
	}

	return e.plan(in, binding)
}

// rolloutLimit ends a rollout that a deployer never ends by itself.
const rolloutLimit = 30 * time.Minute
