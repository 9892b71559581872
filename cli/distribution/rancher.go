package distribution

import "fmt"

// k3s runs kube-scheduler inside its own process, which reads the node's files.
func k3s(d distribution, _ Request, p *Plan) { rancher(d, p, "k3s", "k3s", "") }

// rke2 runs kube-scheduler as a static pod.
func rke2(d distribution, _ Request, p *Plan) {
	rancher(d, p, "rke2", "rke2-server", fmt.Sprintf(`# Without it the static pod does not see the file.
kube-scheduler-extra-mount+:
- %[1]s:%[1]s:ro
`, d.dir))
}

// rancher are k3s and rke2, whose configuration has one form. The + appends to
// lists of other files.
func rancher(d distribution, p *Plan, name, service, more string) {
	place := "/etc/rancher/" + name + "/config.yaml.d/heteroaccel.yaml"
	files := p.Files
	p.Files = append(p.Files, File{
		Name: name + ".yaml", Place: place, Mode: 0o600,
		Data: fmt.Appendf(nil, "kube-scheduler-arg+:\n- config=%s/kube-scheduler.yaml\n%s", d.dir, more),
	})
	p.Steps = append(p.Steps,
		"On every server node, put the files in place:",
		"$ sudo mkdir -p "+d.dir+" /etc/rancher/"+name+"/config.yaml.d")
	p.Steps = append(p.Steps, installs(files, "root")...)
	p.Steps = append(p.Steps,
		fmt.Sprintf("$ sudo install -m 600 DIR/%s.yaml %s", name, place),
		"Restart one server after another:",
		"$ sudo systemctl restart "+service)
}
