package cluster

import (
	"path/filepath"
	"strconv"

	"github.com/shiplog/shiplog/test/cluster/node"
)

// Addresses inside the node. They are the same in every cluster: each has a
// network of its own.
const (
	nodeName   = "node1"
	nodeIP     = "10.99.0.1"
	pods       = "10.244.0.0/24"
	services   = "10.96.0.0/16"
	serviceAPI = "10.96.0.1"
	pauseImage = "localhost/pause:1"
	apiInside  = 6443
)

// spec says what runs in the node.
func (c Config) spec(p ports) node.Spec {
	return node.Spec{
		Dir: c.run(), Name: nodeName, Address: nodeIP + "/24", Routes: []string{services}, Cgroup: c.cgroup(),
		Forwards: []node.Forward{
			{Name: "api", Port: p.API, To: "127.0.0.1:" + strconv.Itoa(apiInside)},
			// The registry has the same name on both sides, so that what was
			// pushed from outside is pulled by the same reference inside.
			{Name: "registry", Port: p.Registry, To: "127.0.0.1:" + strconv.Itoa(p.Registry)},
		},
		Components: append(c.controlPlane(), c.machine(p)...),
	}
}

func (c Config) controlPlane() []node.Component {
	return []node.Component{
		{
			Name: "etcd",
			Command: []string{
				c.program("etcd"), "--data-dir", filepath.Join(c.state(), "etcd"),
				"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
				"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
				"--initial-cluster", "default=http://127.0.0.1:2380",
				"--unsafe-no-fsync", // what is lost with the machine's power, is thrown away anyway
			},
			Ready: node.Ready{URL: "http://127.0.0.1:2379/health"},
		},
		{
			Name: "kube-apiserver", After: []string{"etcd"},
			Command: []string{
				c.program("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379",
				"--bind-address=0.0.0.0", "--secure-port=" + strconv.Itoa(apiInside), "--advertise-address=" + nodeIP,
				"--tls-cert-file=" + c.pki("api.crt"), "--tls-private-key-file=" + c.pki("api.key"), "--client-ca-file=" + c.pki("ca.crt"),
				"--service-account-issuer=https://kubernetes.default.svc",
				"--service-account-key-file=" + c.pki("accounts.pub"), "--service-account-signing-key-file=" + c.pki("accounts.key"),
				"--token-auth-file=" + c.pki("tokens.csv"), "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
				"--service-cluster-ip-range=" + services, "--allow-privileged=true",
				"--kubelet-preferred-address-types=InternalIP", // the node's name is in no DNS
			},
			Ready: node.Ready{URL: "https://127.0.0.1:" + strconv.Itoa(apiInside) + "/readyz", CA: c.pki("ca.crt")},
		},
		{
			Name: "kube-controller-manager", After: []string{"kube-apiserver"},
			Command: []string{
				c.program("kube-controller-manager"), "--kubeconfig=" + c.inside("controllers"),
				"--service-account-private-key-file=" + c.pki("accounts.key"), "--root-ca-file=" + c.pki("ca.crt"),
				"--use-service-account-credentials", "--bind-address=127.0.0.1", "--leader-elect=false",
				// Its own limit, 20 requests a second, makes its start wait 5 s.
				"--kube-api-qps=500", "--kube-api-burst=1000",
			},
		},
		{
			Name: "kube-scheduler", After: []string{"kube-apiserver"},
			Command: []string{c.program("kube-scheduler"), "--kubeconfig=" + c.inside("scheduler"), "--bind-address=127.0.0.1", "--leader-elect=false"},
		},
	}
}

func (c Config) machine(p ports) []node.Component {
	return []node.Component{
		{
			Name: "registry",
			Command: []string{
				filepath.Join(c.Built, "registry"), "-listen", "127.0.0.1:" + strconv.Itoa(p.Registry), "-dir", filepath.Join(c.state(), "registry"),
			},
			Ready: node.Ready{URL: "http://127.0.0.1:" + strconv.Itoa(p.Registry) + "/v2/"},
		},
		{
			Name: "containerd", Command: []string{"/usr/bin/containerd", "-c", c.setting("containerd.toml")},
			Ready: node.Ready{Socket: c.containerd()},
		},
		{
			Name: "images", After: []string{"containerd"}, Once: true,
			Command: []string{"/usr/bin/ctr", "-a", c.containerd(), "-n", "k8s.io", "images", "import", filepath.Join(c.Built, "pause.tar")},
		},
		{
			Name: "kubelet", After: []string{"kube-apiserver", "images", "registry"},
			Command: []string{
				c.program("kubelet"), "--config=" + c.setting("kubelet.yaml"), "--kubeconfig=" + c.inside("kubelet"),
				"--root-dir=" + c.kubelet(), "--cert-dir=" + filepath.Join(c.kubelet(), "pki"),
				"--hostname-override=" + nodeName, "--node-ip=" + nodeIP, "--v=2",
			},
		},
		{
			Name: "kube-proxy", After: []string{"kube-apiserver"},
			Command: []string{
				c.program("kube-proxy"), "--kubeconfig=" + c.inside("proxy"), "--proxy-mode=nftables",
				"--hostname-override=" + nodeName, "--cluster-cidr=" + pods, "--bind-address=" + nodeIP,
			},
		},
	}
}

func (c Config) program(name string) string { return filepath.Join(c.Built, name) }

// inside is the kubeconfig of a component.
func (c Config) inside(user string) string { return filepath.Join(c.state(), user+".kubeconfig") }

func (c Config) setting(file string) string { return filepath.Join(c.run(), file) }

func (c Config) containerd() string { return filepath.Join(c.run(), "containerd.sock") }

func (c Config) kubelet() string { return filepath.Join(c.state(), "kubelet") }
