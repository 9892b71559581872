package distribution

import "fmt"

// k0s runs kube-scheduler as a process of the user kube-scheduler.
func k0s(d distribution, _ Request, p *Plan) {
	files := p.Files
	p.Files = append(p.Files, File{
		Name: "k0s.yaml", Mode: 0o644,
		Place: "what to add to /etc/k0s/k0s.yaml, the file of k0s install controller -c",
		Data: fmt.Appendf(nil, `apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
spec:
  scheduler:
    extraArgs:
      config: %s/kube-scheduler.yaml
`, d.dir),
	})
	p.Steps = append(p.Steps,
		"On every controller, put the files in place. kube-scheduler reads them as the user kube-scheduler:",
		"$ sudo mkdir -p "+d.dir)
	p.Steps = append(p.Steps, installs(files, "kube-scheduler")...)
	p.Steps = append(p.Steps,
		"Add what k0s.yaml has under scheduler to /etc/k0s/k0s.yaml, and restart one controller after another. k0s does not notice by itself that one of the files has changed:",
		"$ sudo k0s stop",
		"$ sudo k0s start")
}
