package kubernetes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// endpoints gives where the services of a content are reached from inside the
// cluster, by the name of the port; of several services the name of the service
// stands before it.
func endpoints(packed []byte) map[string]string {
	objects, err := unpack(packed)
	if err != nil {
		return nil // it was read when it was written
	}

	var services []corev1.Service

	for _, raw := range objects {
		var s corev1.Service
		if json.Unmarshal(raw, &s) == nil && s.Kind == "Service" && s.APIVersion == "v1" {
			services = append(services, s)
		}
	}

	all := map[string]string{}

	for _, s := range services {
		for _, p := range s.Spec.Ports {
			name := p.Name
			if name == "" {
				name = strconv.Itoa(int(p.Port))
			}

			if len(services) > 1 {
				name = s.Name + "/" + name
			}

			all[name] = fmt.Sprintf("%s://%s.%s.svc:%d", scheme(p), s.Name, s.Namespace, p.Port)
		}
	}

	return all
}

func scheme(p corev1.ServicePort) string {
	for _, said := range []string{p.Name, value(p.AppProtocol)} {
		switch {
		case strings.HasPrefix(said, "https"):
			return "https"
		case strings.HasPrefix(said, "http"), strings.HasPrefix(said, "web"):
			return "http"
		case strings.HasPrefix(said, "grpc"):
			return "grpc"
		}
	}

	return strings.ToLower(string(cmp.Or(p.Protocol, corev1.ProtocolTCP)))
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}

	return v
}
