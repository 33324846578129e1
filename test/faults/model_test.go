package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

// model is what a service in an environment, and its target, are supposed to
// be: plain values, without a database, a target or a clock. It knows nothing
// of how the engine does it but the order in which it tells, asks and stores.
type model struct {
	versions    []modelVersion
	config      int
	locked      bool
	held        bool
	blocked     map[int]bool // versions
	elsewhere   *int         // the version that is recorded where somebody else deploys
	deployments []*modelDeployment
	recorded    *modelDeployment
	applied     *modelDeployment
	order       int // of becoming current

	epoch, owner int // of the lease: the last one, and the one that holds, 0 for none

	// The target.
	anchor      *modelDeployment
	anchorEpoch int
	serving     booking
	coming      booking
	starts      []int
	wrong       []string
}

// booking is content at the target, and for whom it was started.
type booking struct {
	by      *modelDeployment
	content string
}

type modelVersion struct {
	revision int
	works    bool
}

type modelDeployment struct {
	n          int
	version    int
	content    string // fixed when it is planned, or with what it repeats
	undeploy   bool   // it has neither
	status     string
	acted      bool
	stop       bool
	diagnosed  bool
	plan       string
	apply      string
	rollout    string
	override   bool
	base       *modelDeployment
	superseder *modelDeployment
	order      int
}

func (d *modelDeployment) final() bool { return (deployment{Status: d.status}).final() }

func (m *model) works(d *modelDeployment) bool { return m.versions[d.version].works }

// request is what is asked for; dying is the script of the one who is asked.
type modelRequest struct {
	version           int
	content           string
	preempt, override bool
	undeploy          bool
	rollback, hold    bool
	expected          *modelDeployment
	expects           bool
}

// create makes a deployment, or says why not.
func (m *model) create(s *script, r modelRequest) fault.Code {
	switch {
	case r.expects && r.expected != m.recorded:
		return fault.Stale
	case m.locked && !r.override:
		return fault.Locked
	case m.held && !r.rollback && !r.override:
		return fault.Held
	case !r.undeploy && m.blocked[r.version] && !r.override:
		return fault.Blocked
	case r.undeploy && !m.isThere():
		return fault.Conflict
	}

	for _, d := range m.deployments {
		if !d.final() && !d.acted {
			s.at("log ", false)
		}
	}

	made := &modelDeployment{
		n: len(m.deployments), version: r.version, content: r.content, undeploy: r.undeploy, override: r.override, status: "QUEUED", base: m.recorded,
		plan: "PENDING", apply: "PENDING", rollout: "PENDING",
	}

	for _, d := range m.deployments {
		switch {
		case d.final():
		case !d.acted:
			d.superseder = made
			m.finish(d, "SUPERSEDED")
		case r.preempt:
			d.stop = true
		}
	}

	m.deployments = append(m.deployments, made)
	m.held = m.held || r.hold

	return ""
}

// isThere: there is something to take away, or it may come.
func (m *model) isThere() bool {
	if slices.ContainsFunc(m.deployments, func(d *modelDeployment) bool { return !d.final() }) {
		return true
	}

	return m.applied != nil && (!m.applied.undeploy || m.applied.status != "SUCCEEDED")
}

func (m *model) finish(d *modelDeployment, to string) {
	ends := map[string]string{"SUCCEEDED": "SUCCEEDED", "FAILED": "FAILED", "ERRORED": "FAILED"}

	for _, s := range []*string{&d.plan, &d.apply, &d.rollout} {
		switch *s {
		case "PENDING":
			*s = "SKIPPED"
		case "RUNNING", "WAITING", "UNKNOWN":
			if *s = ends[to]; *s == "" {
				*s = "CANCELLED"
			}
		}
	}

	d.status = to

	if to == "SUCCEEDED" {
		m.order++
		d.order, m.recorded = m.order, d
	}
}

// lastGood is what a rollback goes back to.
func (m *model) lastGood() *modelDeployment {
	if m.applied == nil {
		return nil
	}

	var last *modelDeployment

	for _, d := range m.deployments {
		if d.order > 0 && !d.undeploy && !m.blocked[d.version] && d.content != m.applied.content && (last == nil || d.order > last.order) {
			last = d
		}
	}

	return last
}

func (m *model) cancel(s *script, d *modelDeployment) fault.Code {
	switch {
	case d.status == "CANCELLED", d.stop && !d.final():
	case d.final():
		return fault.Conflict
	case !d.acted:
		s.at("log ", false)
		m.finish(d, "CANCELLED")
	default:
		d.stop = true
	}

	return ""
}

// unknown gives the step of the deployment whose outcome is not known.
func (d *modelDeployment) unknown() (name string, step *string) {
	switch {
	case d.final():
		return "", nil
	case d.apply == "UNKNOWN":
		return "apply", &d.apply
	case d.rollout == "UNKNOWN":
		return "rollout", &d.rollout
	}

	return "", nil
}

func (m *model) resolve(s *script, d *modelDeployment, outcome string) {
	name, step := d.unknown()
	s.at("log "+name, false)

	d.status = "VERIFYING"

	switch outcome {
	case "FAILED":
		*step, d.stop, d.status = "FAILED", true, "WAITING"
	case "RETRY":
		*step = "PENDING"

		if name == "apply" {
			d.status = "RUNNING"
		}
	case "SUCCEEDED":
		*step = "SUCCEEDED"
	}
}

// tenure is one owner's time.
type modelTenure struct {
	*model
	*script

	epoch int
}

// advance carries on what there is to do, as an owner.
func (m *model) advance(s *script) {
	m.epoch++
	m.owner = m.epoch

	t := modelTenure{m, s, m.epoch}
	for d := m.next(); d != nil && t.carry(d); d = m.next() {
	}

	if m.owner == t.epoch {
		m.owner = 0
	}
}

func (m *model) next() *modelDeployment {
	var newest *modelDeployment

	for _, d := range m.deployments {
		if !d.final() && (newest == nil || !newest.acted) {
			newest = d
		}
	}

	if newest == nil || newest.status == "WAITING" && !newest.stop {
		return nil
	}

	return newest
}

func (t modelTenure) mine() bool { return t.owner == t.epoch }

// call tells the target; it reports false when it does not listen any more.
func (t modelTenure) call(name string, effect func()) (lost, ok bool) {
	if t.at(name+"?", true) {
		return true, true
	}

	if t.epoch < t.anchorEpoch {
		return false, false
	}

	t.anchorEpoch = t.epoch
	effect()

	return t.at(name+"!", true), true
}

func (t modelTenure) carry(d *modelDeployment) bool {
	switch {
	case d.diagnosed:
		return t.takeBack(d)
	case d.stop:
		return t.end(d)
	}

	// Its version was blocked since it was asked for.
	if !d.acted && !d.undeploy && !d.override && t.blocked[d.version] {
		t.at("log ", false)
		t.finish(d, "REJECTED")

		return true
	}

	t.begin(d)

	lost, ok := t.call("apply", func() { t.start(d) })

	switch {
	case !ok || !t.mine():
		return false
	case lost:
		t.at("log apply", false)
		d.apply, d.status = "UNKNOWN", "WAITING"

		return true
	case d.apply == "RUNNING":
		t.at("log apply", false)
		d.apply, d.rollout, d.status = "SUCCEEDED", "RUNNING", "VERIFYING"
	}

	if d.stop {
		return t.end(d)
	}

	ready := false
	lost, ok = t.call("rollout", func() { ready = t.judge(d) })

	switch {
	case !ok || !t.mine():
		return false
	case lost && d.rollout == "SUCCEEDED":
		t.at("log ", false)
		t.finish(d, "SUCCEEDED")
	case lost:
		t.at("log rollout", false)
		d.rollout, d.status = "UNKNOWN", "WAITING"
	case ready:
		t.at("log rollout", false)
		t.at("log ", false)
		t.finish(d, "SUCCEEDED")
	default:
		t.at("log rollout", false)
		d.rollout, d.diagnosed = "FAILED", true

		return t.takeBack(d)
	}

	return true
}

// begin plans it and takes the slot, or goes on with what somebody had begun.
func (t modelTenure) begin(d *modelDeployment) {
	if !d.acted {
		t.at("log plan", false)
		t.at("log apply", false)

		if d.content == "" && !d.undeploy {
			d.content = t.content(d.version)
		}

		d.acted, d.status, d.plan, d.apply = true, "RUNNING", "SUCCEEDED", "RUNNING"
		t.applied = d

		return
	}

	name, step := "apply", &d.apply
	if d.apply == "SUCCEEDED" {
		name, step = "rollout", &d.rollout
	}

	if *step != "SUCCEEDED" {
		t.at("log "+name, false)

		*step = "RUNNING"
	}
}

func (m *model) content(version int) string {
	return fmt.Sprintf("%d/%d", m.versions[version].revision, m.config)
}

func (t modelTenure) takeBack(d *modelDeployment) bool {
	if lost, ok := t.call("abandon", func() { t.leave(d) }); lost || !ok || !t.mine() {
		return false
	}

	t.at("log rollout", false)
	t.at("log ", false)
	t.finish(d, "FAILED")

	return true
}

// end ends what was asked to stop.
func (t modelTenure) end(d *modelDeployment) bool {
	if lost, ok := t.call("abandon", func() { t.leave(d) }); lost || !ok || !t.mine() {
		return false
	}

	t.at("log ", false)

	to := "CANCELLED"
	if d.apply == "FAILED" || d.rollout == "FAILED" {
		to = "FAILED"
	}

	t.finish(d, to)

	return true
}

// start is what the target does when it is told what is wanted.
func (m *model) start(d *modelDeployment) {
	if d.final() {
		m.wrong = append(m.wrong, fmt.Sprintf("%d is over and is applied", d.n))
	}

	m.anchor = d

	switch {
	case d.undeploy:
		m.serving, m.coming = booking{}, booking{}
	case m.serving.content == d.content:
		m.coming = booking{}
	case m.coming.by == d && m.coming.content == d.content:
	default:
		if slices.Contains(m.starts, d.n) {
			m.wrong = append(m.wrong, fmt.Sprintf("%d is started twice", d.n))
		}

		m.coming = booking{d, d.content}
		m.starts = append(m.starts, d.n)
	}
}

// judge is what the target says of what is wanted.
func (m *model) judge(d *modelDeployment) (ready bool) {
	if m.coming.by == nil {
		return m.serving.content == d.content
	}

	if ready = m.works(d); ready {
		m.serving, m.coming = m.coming, booking{}
	}

	return ready
}

// leave is what the target does when something is given up.
func (m *model) leave(d *modelDeployment) {
	if m.anchor == d {
		m.coming = booking{}
	}
}

// String says how everything stands, as it is compared.
func (m *model) String() string {
	var b strings.Builder

	for _, d := range m.deployments {
		fmt.Fprintf(&b, "%d %s acted=%t stop=%t why=%t plan=%s apply=%s rollout=%s base=%s by=%s\n", d.n, d.status, d.acted, d.stop, d.diagnosed,
			d.plan, d.apply, d.rollout, number(d.base), number(d.superseder))
	}

	fmt.Fprintf(&b, "recorded=%s applied=%s\n", number(m.recorded), number(m.applied))
	fmt.Fprintf(&b, "serving=%s coming=%s started=%v\n", number(m.serving.by), number(m.coming.by), m.starts)

	return b.String()
}

func number(d *modelDeployment) string {
	if d == nil {
		return "-"
	}

	return strconv.Itoa(d.n)
}
