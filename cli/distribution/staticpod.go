package distribution

import "fmt"

// kubeadm runs kube-scheduler as a static pod: it sees of its node what is mounted.
func kubeadm(d distribution, _ Request, p *Plan) {
	p.Files = append(p.Files, File{
		Name: "kubeadm.yaml", Mode: 0o644,
		Place: "what to add to the key ClusterConfiguration of the ConfigMap kubeadm-config in kube-system, or to the file of kubeadm init",
		Data: fmt.Appendf(nil, `apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
scheduler:
  extraArgs:
  - name: config
    value: %[1]s/kube-scheduler.yaml
  # Without it the static pod does not see the file.
  extraVolumes:
  - name: heteroaccel
    hostPath: %[1]s
    mountPath: %[1]s
    readOnly: true
    pathType: Directory
`, d.dir),
	})
	p.Steps = append(p.Steps,
		"On every control plane node, put the files in place:",
		"$ sudo mkdir -p "+d.dir)
	p.Steps = append(p.Steps, installs(p.Files[:len(p.Files)-1], "root")...)
	p.Steps = append(p.Steps,
		"Add what kubeadm.yaml has under scheduler to the cluster's configuration, so that upgrades keep it:",
		"$ kubectl -n kube-system edit configmap kubeadm-config",
		"On every control plane node, write the static pod anew; the kubelet restarts kube-scheduler:",
		"$ kubectl -n kube-system get configmap kubeadm-config -o jsonpath='{.data.ClusterConfiguration}' > cluster.yaml",
		"$ sudo kubeadm init phase control-plane scheduler --config cluster.yaml",
		"When only the files have changed, stop the container; the kubelet starts it again:",
		"$ sudo crictl stop $(sudo crictl ps -q --name=kube-scheduler)")
}

// installs are the commands that put files in place, owned by a user.
func installs(files []File, owner string) []string {
	var steps []string
	for _, f := range files {
		steps = append(steps, fmt.Sprintf("$ sudo install -o %s -m %o DIR/%s %s", owner, f.Mode, f.Name, f.Place))
	}
	return steps
}

// patch is kubeadm's patch of the static pod, for those that write their kubeadm
// configuration themselves. patches of InitConfiguration are the same in v1beta3 and
// v1beta4, unlike extraArgs.
func patch(d distribution) File {
	return File{
		Name: "patches/kube-scheduler+json.yaml", Place: d.dir + "/patches/kube-scheduler+json.yaml", Mode: 0o644,
		Data: fmt.Appendf(nil, `- op: add
  path: /spec/containers/0/command/-
  value: --config=%[1]s/kube-scheduler.yaml
# Without it the static pod does not see the file.
- op: add
  path: /spec/containers/0/volumeMounts/-
  value:
    name: heteroaccel
    mountPath: %[1]s
    readOnly: true
- op: add
  path: /spec/volumes/-
  value:
    name: heteroaccel
    hostPath:
      path: %[1]s
      type: Directory
`, d.dir),
	}
}

// kind runs kubeadm in containers.
func kind(d distribution, _ Request, p *Plan) {
	p.Files = append(p.Files, patch(d), File{
		Name: "kind.yaml", Mode: 0o644,
		Place: "for kind create cluster --config, so that a new cluster has the files; DIR is an absolute path",
		Data: fmt.Appendf(nil, `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  extraMounts:
  - hostPath: DIR
    containerPath: %[1]s
    readOnly: true
  kubeadmConfigPatches:
  - |
    kind: InitConfiguration
    patches:
      directory: %[1]s
`, d.dir),
	})
	p.Steps = append(p.Steps,
		"In a cluster that runs, in the container of every control plane node (kind get nodes lists them):",
		"$ docker exec kind-control-plane mkdir -p "+d.dir+"/patches")
	for _, f := range p.Files[:len(p.Files)-1] {
		p.Steps = append(p.Steps, fmt.Sprintf("$ docker cp DIR/%s kind-control-plane:%s", f.Name, f.Place))
	}
	p.Steps = append(p.Steps,
		"$ docker exec kind-control-plane kubeadm init phase control-plane scheduler --config /kind/kubeadm.conf --patches "+d.dir+"/patches",
		"A new cluster: replace DIR in kind.yaml. The Service has an address only once HeteroAccel is installed, and until then kube-scheduler goes on without the extender. Then run this command again with --to DIR, and restart kube-scheduler:",
		"$ kind create cluster --config DIR/kind.yaml",
		"$ docker exec kind-control-plane sh -c 'crictl stop $(crictl ps -q --name=kube-scheduler)'")
}

// minikube runs kubeadm and writes its static pods anew at each start.
func minikube(d distribution, _ Request, p *Plan) {
	p.Files = append(p.Files, patch(d))
	p.Steps = append(p.Steps,
		"minikube start --extra-config=scheduler.config=FILE sets the flag alone: the static pod does not see the file, and kube-scheduler does not start. So patch the static pod. Files below ~/.minikube/files are copied into the node at each start:",
		"$ mkdir -p ~/.minikube/files"+d.dir+"/patches")
	for _, f := range p.Files {
		p.Steps = append(p.Steps, fmt.Sprintf("$ install -m %o DIR/%s ~/.minikube/files%s", f.Mode, f.Name, f.Place))
	}
	p.Steps = append(p.Steps,
		"Start minikube again, so that it copies them. It writes the static pod anew whenever it starts, so the second command is to be repeated after each start:",
		"$ minikube start",
		"$ minikube ssh -- \"sudo sh -c '/var/lib/minikube/binaries/v*/kubeadm init phase control-plane scheduler --config /var/tmp/minikube/kubeadm.yaml --patches "+d.dir+"/patches'\"")
}
