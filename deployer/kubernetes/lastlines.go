package kubernetes

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxLastLines is how many lines a diagnosis shows, maxLastBytes how many bytes
// of them.
const (
	maxLastLines = 20
	maxLastBytes = 64 << 10
)

// lastLines gives the last lines of a container, none when there are none.
func (s site) lastLines(ctx context.Context, where *blame) ([]string, error) {
	lines, bytes := int64(maxLastLines), int64(maxLastBytes)

	data, err := s.typed.CoreV1().Pods(s.namespace).GetLogs(where.pod, &corev1.PodLogOptions{
		Container: where.container, Previous: where.previous, TailLines: &lines, LimitBytes: &bytes,
	}).DoRaw(ctx)
	if err != nil {
		return nil, refusal("the output of "+where.pod, err)
	}

	text := strings.TrimRight(strings.ToValidUTF8(string(data), "\uFFFD"), "\n")
	if text == "" {
		return nil, nil
	}

	return strings.Split(text, "\n"), nil
}
