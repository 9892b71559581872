package distribution

// talos has kube-scheduler's configuration within its own, where it names the
// kubeconfig itself. Its nodes have no files of ours, so certificates are inline.
func talos(_ distribution, r Request, p *Plan) {
	secret, mode := r.TLS != nil, File{}.Mode|0o644
	if secret {
		mode = 0o600
	}
	p.Files = append(p.Files,
		File{
			Name: "talos.yaml", Place: "a patch of the machine configuration, for Talos up to 1.13", Mode: mode, Secret: secret,
			Data: []byte("cluster:\n  scheduler:\n    config:\n" + indent(extenders(r, ""), 6)),
		},
		File{
			Name: "talos-1.14.yaml", Place: "a patch of the machine configuration, for Talos from 1.14 on, which has a document of its own for it", Mode: mode, Secret: secret,
			Data: []byte("apiVersion: v1alpha1\nkind: KubeSchedulerConfig\nconfig:\n" + indent(extenders(r, ""), 2)),
		})
	p.Steps = append(p.Steps,
		"Patch the configuration of every control plane node; kube-scheduler is restarted, and the node is not:",
		"$ talosctl --nodes NODES patch machineconfig --patch @DIR/talos.yaml")
	if secret {
		p.Steps = append(p.Steps, "The certificates are part of the patch: repeat it when they are renewed.")
	}
}
