package deployment

import (
	"context"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/store"
)

// foreign ends a deployment whose target listens to a later owner that is none
// of this database's. Epochs are stored before a target hears of them, so as
// long as the lease is ours it is another database's that are in force there.
func (e *Engine) foreign(ctx context.Context, held *store.Held, d *db.Deployment, cause error) error {
	const said = "the target obeys another database: Shiplog deploys there with that one too, or did before this one " +
		"was made or restored; use that database, or other targets (for processes: another data folder)"

	if err := e.end(ctx, held, d, deployment.StatusERRORED, said); err != nil {
		return err
	}

	e.log.WarnContext(ctx, "a target obeys another database: its deployment has ended", "deployment", d.ID,
		"service", d.Edges.Service.Name, "environment", d.Edges.Environment.Name, "error", cause)

	return nil
}
