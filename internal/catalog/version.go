package catalog

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/decision"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

const (
	maxImages  = 50
	maxNotes   = 64 << 10
	maxCommit  = 64
	maxRef     = 250
	maxAuthor  = 200
	mainImage  = "main"
	futureSkew = 24 * time.Hour
)

// ImageInput is an image of a version, as input.
type ImageInput struct {
	Name      *string
	Reference string
	Digest    *string
}

// WorkloadInput is what a version runs, as input; exactly one is set.
type WorkloadInput struct {
	Score     any
	Manifests *string
}

// RegisterVersion is the input of registerVersion.
type RegisterVersion struct {
	Service        string
	Version        string
	Image          *string
	Digest         *string
	Images         []*ImageInput
	Commit         *string
	Ref            *string
	BuiltAt        *time.Time
	Author         *string
	BuildURL       *string
	Notes          *string
	Workload       *WorkloadInput
	Labels         map[string]string
	Backfill       *bool
	IdempotencyKey *string `json:"-"`
}

// RegisterVersionResult is the payload of registerVersion.
type RegisterVersionResult struct {
	Version       *db.Version
	Created       bool
	IgnoredFields []string
	Decisions     []*db.Decision
}

// registered is what makes the same answer to a repeated key.
type registered struct {
	ID      string
	Created bool
	Ignored []string
	EventID string
}

// candidate is a checked input.
type candidate struct {
	RegisterVersion

	images   map[string]spec.Image
	workload spec.Workload
	builtAt  time.Time
}

// check checks the form of every field and puts images and workload into
// their one form.
func (in RegisterVersion) check() (candidate, error) {
	c := candidate{RegisterVersion: in}

	err := first(
		spec.ValidateVersionName("version", in.Version),
		optional(in.Commit, func(s string) error { return spec.ValidateLine("commit", s, maxCommit) }),
		optional(in.Ref, func(s string) error { return spec.ValidateLine("ref", s, maxRef) }),
		optional(in.Author, func(s string) error { return spec.ValidateLine("author", s, maxAuthor) }),
		optional(in.BuildURL, func(s string) error { return spec.ValidateURL("buildUrl", s) }),
		optional(in.Notes, func(s string) error { return spec.ValidateText("notes", s, maxNotes) }),
		spec.ValidateLabels("labels", in.Labels),
	)
	if err != nil {
		return c, err
	}

	c.builtAt = store.Now()
	if in.BuiltAt != nil {
		c.builtAt = in.BuiltAt.UTC().Truncate(time.Microsecond)
	}

	if c.builtAt.After(time.Now().Add(futureSkew)) || c.builtAt.Year() < 1970 {
		return c, fault.Invalid("builtAt", "want a moment between 1970 and now")
	}

	if c.images, err = in.imageSet(); err != nil {
		return c, err
	}

	if in.Workload != nil {
		if c.workload, err = spec.ParseWorkload("workload", in.Workload.Score, value(in.Workload.Manifests)); err != nil {
			return c, err
		}
	}

	return c, nil
}

// validateReference accepts what registries do; of the past whatever was
// written down, since builds were released with images that could not be pulled.
func (in RegisterVersion) validateReference(field, reference string) error {
	if value(in.Backfill) && reference != "" {
		return spec.ValidateLine(field, reference, spec.MaxImageReference)
	}

	return spec.ValidateImageReference(field, reference)
}

func (in RegisterVersion) imageSet() (map[string]spec.Image, error) {
	images := map[string]spec.Image{}

	if in.Image == nil && value(in.Digest) != "" {
		return nil, fault.Invalid("digest", "is the digest of image, which is missing")
	}

	if len(in.Images) > maxImages {
		return nil, fault.Invalid("images", "want at most %d", maxImages)
	}

	all := in.Images
	if in.Image != nil {
		all = append([]*ImageInput{{Reference: *in.Image, Digest: in.Digest}}, all...)
	}

	for i, img := range all {
		field := fieldOfImage(in.Image != nil, i)
		name := mainImage

		if img.Name != nil && *img.Name != "" {
			name = *img.Name
		}

		err := first(
			spec.ValidateName(field("name"), name),
			in.validateReference(field("reference"), img.Reference),
			optional(img.Digest, func(s string) error { return spec.ValidateImageDigest(field("digest"), s) }),
		)
		if err != nil {
			return nil, err
		}

		if _, twice := images[name]; twice {
			return nil, fault.Invalid(field("name"), "there is an image %q already", name)
		}

		images[name] = spec.Image{Reference: img.Reference, Digest: value(img.Digest)}
	}

	return images, nil
}

// RegisterVersion stores a new version with the decisions taken for it in one
// transaction. The same content again is no change. Errors: NOT_FOUND
// (service); CONFLICT (version) when the name is in use with other content.
func (c *Catalog) RegisterVersion(ctx context.Context, in RegisterVersion) (*RegisterVersionResult, error) {
	if w := in.Workload; w != nil && w.Score == nil && value(w.Manifests) == "" {
		return nil, fault.Invalid("workload", "want score or manifests; leave workload out to take that of the version before")
	}

	cand, err := in.check()
	if err != nil {
		return nil, err
	}

	result, _, err := once(ctx, c.store, "registerVersion", in.IdempotencyKey, in, func(ctx context.Context, tx *store.Tx) (registered, error) {
		service, err := FindService(ctx, tx.Client, "service", in.Service)
		if err != nil {
			return registered{}, err
		}

		return c.register(ctx, tx, service, cand)
	})
	if err != nil {
		return nil, err
	}

	row, err := c.store.Read.Version.Query().Where(version.ID(result.ID)).WithImages().Only(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	decisions, err := c.store.Read.Decision.Query().Where(decision.VersionID(row.ID), decision.EventID(result.EventID)).
		Order(decision.ByCreatedAt(), decision.ByID()).All(ctx)

	return &RegisterVersionResult{Version: row, Created: result.Created, IgnoredFields: result.Ignored, Decisions: decisions}, store.Classify(err)
}

func (c *Catalog) register(ctx context.Context, tx *store.Tx, of *db.Service, cand candidate) (registered, error) {
	if of.ArchivedAt != nil {
		return registered{}, fault.New(fault.Conflict, "service %s is archived", of.Name).At("service")
	}

	// Registrations of one service are one after the other: the ordinal, the
	// workload to inherit and the name are decided under this lock.
	of, err := LockService(ctx, tx, of.ID)
	if err != nil {
		return registered{}, err
	}

	known, err := tx.Version.Query().Where(version.ServiceID(of.ID), version.Name(cand.Version)).WithImages().Only(ctx)

	switch {
	case err == nil:
		return cand.again(ctx, tx, known)
	case !db.IsNotFound(err):
		return registered{}, err
	}

	var (
		kind         version.WorkloadKind
		digest, from *string
	)

	if cand.Workload == nil {
		kind, digest, from, err = inheritedWorkload(ctx, tx, of.ID, cand.builtAt)
	} else {
		kind, digest, err = putWorkload(ctx, tx, cand.workload)
	}

	if err != nil {
		return registered{}, err
	}

	row, err := cand.insert(ctx, tx, of, kind, digest, from)
	if err != nil {
		return registered{}, err
	}

	eventID, err := record(ctx, tx, "version.registered", row.ID, of.ID, "version "+row.Name+" of "+of.Name+" registered", row)
	if err != nil {
		return registered{}, err
	}

	result := registered{ID: row.ID, Created: true, EventID: eventID}
	if !row.Backfill {
		_, err = c.decider.DecideVersion(ctx, tx, eventID, of, row)
	}

	return result, err
}

// again answers the registration of a name that is in use: the same content
// is no change, another one is refused.
func (cand candidate) again(ctx context.Context, tx *store.Tx, known *db.Version) (registered, error) {
	workload := cand.workload

	if cand.Workload == nil && known.WorkloadDigest != nil {
		// Left out now as then, or left out now: the stored one counts.
		content, err := tx.Document.Get(ctx, *known.WorkloadDigest)
		if err != nil {
			return registered{}, err
		}

		workload = workloadOf(known.WorkloadKind, content.Content)
	}

	digest, err := spec.ContentDigest(cand.images, workload, value(cand.Commit))
	if err != nil {
		return registered{}, err
	}

	if digest != known.ContentDigest {
		return registered{}, fault.New(fault.Conflict, "version %s is registered with other content (%s): a version never changes; register another name",
			known.Name, cand.differences(known)).At("version")
	}

	result := registered{ID: known.ID, Ignored: []string{}}

	for _, f := range []struct {
		field   string
		given   bool
		differs bool
	}{
		{"ref", cand.Ref != nil, value(cand.Ref) != value(known.Ref)},
		{"builtAt", cand.BuiltAt != nil, !cand.builtAt.Equal(known.BuiltAt)},
		{"author", cand.Author != nil, value(cand.Author) != value(known.Author)},
		{"buildUrl", cand.BuildURL != nil, value(cand.BuildURL) != value(known.BuildURL)},
		{"labels", cand.Labels != nil, !maps.Equal(cand.Labels, known.Labels)},
	} {
		if f.given && f.differs {
			result.Ignored = append(result.Ignored, f.field)
		}
	}

	if cand.Notes != nil && value(text(cand.Notes)) != "" {
		if known.NotesDigest == nil || documentDigest(*cand.Notes) != *known.NotesDigest {
			result.Ignored = append(result.Ignored, "notes")
		}
	}

	return result, nil
}

// differences names in which parts the contents differ.
func (cand candidate) differences(known *db.Version) string {
	var parts []string

	if value(cand.Commit) != value(known.Commit) {
		parts = append(parts, "commit")
	}

	if !maps.Equal(cand.images, registeredImages(known)) {
		parts = append(parts, "images")
	}

	if len(parts) == 0 {
		return "workload"
	}

	return joinAnd(parts)
}

func (cand candidate) insert(ctx context.Context, tx *store.Tx, of *db.Service, kind version.WorkloadKind, digest, from *string) (*db.Version, error) {
	versionID, err := id.New(id.Version)
	if err != nil {
		return nil, err
	}

	workload := cand.workload

	if from != nil && digest != nil {
		content, err := tx.Document.Get(ctx, *digest)
		if err != nil {
			return nil, err
		}

		workload = workloadOf(kind, content.Content)
	}

	contentDigest, err := spec.ContentDigest(cand.images, workload, value(cand.Commit))
	if err != nil {
		return nil, err
	}

	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	create := tx.Version.Create().SetID(versionID).SetServiceID(of.ID).SetName(cand.Version).SetOrdinal(of.LastOrdinal + 1).
		SetNillableCommit(text(cand.Commit)).SetNillableRef(text(cand.Ref)).SetBuiltAt(cand.builtAt).SetNillableAuthor(text(cand.Author)).
		SetNillableBuildURL(text(cand.BuildURL)).SetLabels(labels(cand.Labels)).SetBackfill(value(cand.Backfill)).
		SetWorkloadKind(kind).SetNillableWorkloadDigest(digest).SetNillableWorkloadFromID(from).SetContentDigest(contentDigest).
		SetActorKind(version.ActorKind(caller.Actor.Kind)).SetActorIssuer(caller.Actor.Issuer).SetActorSubject(caller.Actor.Subject).
		SetActorDisplay(caller.Actor.Display).SetCreatedAt(store.Now())

	if text(cand.Notes) != nil {
		notes, err := PutDocument(ctx, tx, *cand.Notes)
		if err != nil {
			return nil, err
		}

		create.SetNotesDigest(notes)
	}

	row, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}

	names := slices.Sorted(maps.Keys(cand.images))
	creates := make([]*db.ImageCreate, len(names))

	for i, name := range names {
		img := cand.images[name]
		creates[i] = tx.Image.Create().SetVersionID(row.ID).SetName(name).SetReference(img.Reference).SetNillableDigest(text(&img.Digest))
	}

	if row.Edges.Images, err = tx.Image.CreateBulk(creates...).Save(ctx); err != nil {
		return nil, err
	}

	return row, tx.Service.UpdateOneID(of.ID).SetLastOrdinal(row.Ordinal).Exec(ctx)
}

// inheritedWorkload gives that of the newest version before this one.
func inheritedWorkload(ctx context.Context, tx *store.Tx, serviceID string, builtAt time.Time) (version.WorkloadKind, *string, *string, error) {
	before, err := tx.Version.Query().Where(version.ServiceID(serviceID), version.BuiltAtLTE(builtAt), version.WorkloadDigestNotNil()).
		Order(db.Desc(version.FieldBuiltAt), db.Desc(version.FieldOrdinal)).First(ctx)

	switch {
	case db.IsNotFound(err):
		return version.WorkloadKindNONE, nil, nil, nil
	case err != nil:
		return "", nil, nil, err
	}

	return before.WorkloadKind, before.WorkloadDigest, &before.ID, nil
}

func putWorkload(ctx context.Context, tx *store.Tx, w spec.Workload) (version.WorkloadKind, *string, error) {
	kind, content := version.WorkloadKindSCORE, string(w.Score)

	switch {
	case w.IsEmpty():
		return version.WorkloadKindNONE, nil, nil
	case w.Manifests != "":
		kind, content = version.WorkloadKindMANIFESTS, w.Manifests
	}

	digest, err := PutDocument(ctx, tx, content)

	return kind, &digest, err
}

// ImagesOf gives the images of a version that was loaded with them.
func ImagesOf(v *db.Version) map[string]spec.Image {
	images := make(map[string]spec.Image, len(v.Edges.Images))
	for _, img := range v.Edges.Images {
		images[img.Name] = spec.Image{Reference: img.Reference, Digest: value(img.Digest)}
	}

	return images
}

// registeredImages gives the images of a version as it was registered with
// them: without the digests that registries gave later.
func registeredImages(v *db.Version) map[string]spec.Image {
	images := ImagesOf(v)

	for _, img := range v.Edges.Images {
		if img.ResolvedAt != nil {
			images[img.Name] = spec.Image{Reference: img.Reference}
		}
	}

	return images
}

// Workload loads what the version runs.
func Workload(ctx context.Context, client *db.Client, v *db.Version) (spec.Workload, error) {
	if v.WorkloadDigest == nil {
		return spec.Workload{}, nil
	}

	content, err := client.Document.Get(ctx, *v.WorkloadDigest)
	if err != nil {
		return spec.Workload{}, store.Classify(err)
	}

	return workloadOf(v.WorkloadKind, content.Content), nil
}

func workloadOf(kind version.WorkloadKind, content string) spec.Workload {
	if kind == version.WorkloadKindMANIFESTS {
		return spec.Workload{Manifests: content}
	}

	return spec.Workload{Score: []byte(content)}
}

// CreateMissing finds, and creates where need be, the service and version that
// a recorded deployment refers to by name. Such a version can only be
// recorded.
func (c *Catalog) CreateMissing(ctx context.Context, tx *store.Tx, serviceName, versionName string, builtAt time.Time) (*db.Service, *db.Version, error) {
	service, err := FindService(ctx, tx.Client, "service", serviceName)

	if fault.Is(err, fault.NotFound) {
		if err := spec.ValidateName("service", serviceName); err != nil {
			return nil, nil, err
		}

		service, err = createService(ctx, tx, CreateService{Name: serviceName})
	}

	if err != nil {
		return nil, nil, err
	}

	found, err := FindVersion(ctx, tx.Client, "version", service, versionName)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return service, found, err
	}

	yes := true

	cand, err := RegisterVersion{Version: versionName, BuiltAt: &builtAt, Backfill: &yes, Workload: &WorkloadInput{}}.check()
	if err != nil {
		return nil, nil, err
	}

	result, err := c.register(ctx, tx, service, cand)
	if err != nil {
		return nil, nil, err
	}

	found, err = FindVersion(ctx, tx.Client, "version", service, result.ID)

	return service, found, err
}
