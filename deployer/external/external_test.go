package external_test

import (
	"testing"

	"github.com/shiplog/shiplog/deployer/deployertest"
	"github.com/shiplog/shiplog/deployer/external"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	deployertest.RunPassive(t, external.New())
}
