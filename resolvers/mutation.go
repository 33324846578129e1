package resolvers

import (
	"context"

	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
)

type mutation struct{ *Resolver }

func (m mutation) CreateService(ctx context.Context, input catalog.CreateService) (*catalog.CreateServiceResult, error) {
	return m.Catalog.CreateService(ctx, input)
}

func (m mutation) UpdateService(ctx context.Context, input catalog.UpdateService) (*catalog.ServiceResult, error) {
	return m.Catalog.UpdateService(ctx, input)
}

func (m mutation) ArchiveService(ctx context.Context, input catalog.ArchiveService) (*catalog.ServiceResult, error) {
	return m.Catalog.ArchiveService(ctx, input)
}

func (m mutation) CreateEnvironment(ctx context.Context, input catalog.CreateEnvironment) (*catalog.CreateEnvironmentResult, error) {
	return m.Catalog.CreateEnvironment(ctx, input)
}

func (m mutation) UpdateEnvironment(ctx context.Context, input catalog.UpdateEnvironment) (*catalog.EnvironmentResult, error) {
	return m.Catalog.UpdateEnvironment(ctx, input)
}

func (m mutation) ArchiveEnvironment(ctx context.Context, input catalog.ArchiveEnvironment) (*catalog.EnvironmentResult, error) {
	return m.Catalog.ArchiveEnvironment(ctx, input)
}

func (m mutation) SetConfiguration(ctx context.Context, input catalog.SetConfiguration) (*catalog.SetConfigurationResult, error) {
	return m.Catalog.SetConfiguration(ctx, input)
}

func (m mutation) RegisterVersion(ctx context.Context, input catalog.RegisterVersion) (*catalog.RegisterVersionResult, error) {
	return m.Catalog.RegisterVersion(ctx, input)
}

func (m mutation) ReportCheck(ctx context.Context, input catalog.ReportCheck) (*catalog.ReportCheckResult, error) {
	return m.Catalog.ReportCheck(ctx, input)
}

func (m mutation) RecordDeployment(ctx context.Context, input deployment.Record) (*deployment.RecordResult, error) {
	return m.Engine.Record(ctx, m.Catalog, input)
}

func (m mutation) Deploy(ctx context.Context, input deployment.Deploy) (*deployment.DeployResult, error) {
	return m.Engine.Deploy(ctx, input)
}

func (m mutation) Promote(ctx context.Context, input deployment.Promote) (*deployment.DeployResult, error) {
	return m.Engine.Promote(ctx, input)
}

func (m mutation) PromoteEnvironment(ctx context.Context, input deployment.PromoteEnvironment) (*deployment.PromoteEnvironmentResult, error) {
	return m.Engine.PromoteEnvironment(ctx, input)
}

func (m mutation) Redeploy(ctx context.Context, input deployment.Redeploy) (*deployment.DeployResult, error) {
	return m.Engine.Redeploy(ctx, input)
}

func (m mutation) Rollback(ctx context.Context, input deployment.Rollback) (*deployment.RollbackResult, error) {
	return m.Engine.Rollback(ctx, input)
}

func (m mutation) Undeploy(ctx context.Context, input deployment.Undeploy) (*deployment.DeployResult, error) {
	return m.Engine.Undeploy(ctx, input)
}

func (m mutation) CancelDeployment(ctx context.Context, input deployment.Cancel) (*deployment.Result, error) {
	return m.Engine.Cancel(ctx, input)
}

func (m mutation) ResolveStep(ctx context.Context, input deployment.ResolveStep) (*deployment.ResolveStepResult, error) {
	return m.Engine.ResolveStep(ctx, input)
}

func (m mutation) PutRule(ctx context.Context, input deployment.PutRule) (*deployment.RuleResult, error) {
	return m.Engine.PutRule(ctx, input)
}

func (m mutation) DeleteRule(ctx context.Context, input deployment.DeleteRule) (*deployment.RuleResult, error) {
	return m.Engine.DeleteRule(ctx, input)
}

func (m mutation) CreateHold(ctx context.Context, input deployment.CreateHold) (*deployment.CreateHoldResult, error) {
	return m.Engine.CreateHold(ctx, input)
}

func (m mutation) ReleaseHold(ctx context.Context, input deployment.ReleaseHold) (*deployment.ReleaseHoldResult, error) {
	return m.Engine.ReleaseHold(ctx, input)
}

func (m mutation) LockEnvironment(ctx context.Context, input catalog.LockEnvironment) (*catalog.EnvironmentResult, error) {
	return m.Catalog.LockEnvironment(ctx, input)
}

func (m mutation) UnlockEnvironment(ctx context.Context, input catalog.UnlockEnvironment) (*catalog.EnvironmentResult, error) {
	return m.Catalog.UnlockEnvironment(ctx, input)
}

func (m mutation) BlockVersion(ctx context.Context, input catalog.BlockVersion) (*catalog.VersionResult, error) {
	return m.Catalog.BlockVersion(ctx, input)
}

func (m mutation) UnblockVersion(ctx context.Context, input catalog.UnblockVersion) (*catalog.VersionResult, error) {
	return m.Catalog.UnblockVersion(ctx, input)
}
