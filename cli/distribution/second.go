package distribution

import (
	"errors"
	"fmt"
	"strings"
)

// Second is the schedulerName of a kube-scheduler of one's own.
const Second = "heteroaccel-scheduler"

// second is a stock kube-scheduler beside the cluster's, for clusters whose provider
// lets nobody configure theirs. It runs as a Deployment, in the network of pods, so that
// it finds the extender by the Service's name.
func second(_ distribution, r Request, p *Plan) {
	p.Files = append(p.Files, File{Name: "second-scheduler.yaml", Place: "for kubectl apply", Mode: 0o644, Data: []byte(secondManifest(r))})
	p.Steps = append(p.Steps,
		"Two kube-schedulers do not know of each other's decisions until a pod is bound. When both give one device away within that moment, the kubelet refuses the second pod: it fails with UnexpectedAdmissionError, or OutOf and the resource's name, and its controller creates another. Let everything that requests these resources go through the second one, then this does not happen.",
		"$ kubectl apply --server-side -f DIR/second-scheduler.yaml",
		fmt.Sprintf("$ kubectl -n %s rollout status deployment %s", r.Namespace, Second),
		"Let the webhook write its name into annotated pods that name no scheduler. With Helm:",
		fmt.Sprintf("$ helm upgrade heteroaccel CHART --namespace %s --reuse-values --set 'webhook.extraArgs={--set-scheduler-name=%s}'", r.Namespace, Second),
		"Otherwise add the flag to your overlay, or to the Deployment itself:",
		fmt.Sprintf(`$ kubectl -n %s patch deployment heteroaccel-webhook --type=json -p '[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--set-scheduler-name=%s"}]'`, r.Namespace, Second),
		"Pods that request a device by hand name it themselves: spec.schedulerName: "+Second+".")
}

// checkSecond refuses what a second kube-scheduler cannot be made of.
func checkSecond(r Request) error {
	switch {
	case r.Image == "":
		return errors.New("a second kube-scheduler needs an image: give --image with that of kube-scheduler for your version of Kubernetes, as its release has it, from a registry that your nodes reach")
	case strings.ContainsAny(r.Image, " \t\r\n\"'#{}[]"):
		return fmt.Errorf("--image %q cannot be the name of an image: give one such as registry.example/kube-scheduler:v1.37.2", r.Image)
	case r.TLS != nil && r.Secret == "":
		return errors.New("a second kube-scheduler takes its certificates from a Secret: create one with ca.crt, tls.crt and tls.key, and name it with --client-secret in place of the files")
	}
	return nil
}

// secondManifest are the objects of a second kube-scheduler.
//
// Its rights are those of Kubernetes' own roles for kube-scheduler, and a Lease of its
// own: the role has the other one's alone.
func secondManifest(r Request) string {
	const tlsDir = "/etc/heteroaccel-tls"
	mounts, volumes := "", ""
	if r.TLS != nil {
		mounts = fmt.Sprintf("        - name: tls\n          mountPath: %s\n          readOnly: true\n", tlsDir)
		volumes = fmt.Sprintf(`      - name: tls
        secret:
          secretName: %s
          items:
          - {key: ca.crt, path: extender-ca.crt}
          - {key: tls.crt, path: scheduler.crt}
          - {key: tls.key, path: scheduler.key}
`, r.Secret)
	}
	config := fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
# A Lease of its own: with the other one's it would wait for ever.
leaderElection:
  leaderElect: true
  resourceNamespace: %s
  resourceName: %s
profiles:
- schedulerName: %[2]s
`, r.Namespace, Second) + extendersAt(fmt.Sprintf("%s:%d", r.ServerName, r.Extender.Port()), "", r, tlsDir)
	return strings.NewReplacer(
		"NAMESPACE", r.Namespace, "SECOND", Second, "IMAGE", r.Image,
		"CONFIG", indent(config, 4), "MOUNTS\n", mounts, "VOLUMES\n", volumes,
	).Replace(secondTemplate)
}

const secondTemplate = `apiVersion: v1
kind: ServiceAccount
metadata:
  name: SECOND
  namespace: NAMESPACE
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: SECOND
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:kube-scheduler
subjects:
- kind: ServiceAccount
  name: SECOND
  namespace: NAMESPACE
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: SECOND-volumes
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:volume-scheduler
subjects:
- kind: ServiceAccount
  name: SECOND
  namespace: NAMESPACE
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: SECOND-authentication
  namespace: kube-system
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: extension-apiserver-authentication-reader
subjects:
- kind: ServiceAccount
  name: SECOND
  namespace: NAMESPACE
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: SECOND
  namespace: NAMESPACE
rules:
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [SECOND]
  verbs: [get, update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: SECOND
  namespace: NAMESPACE
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: SECOND
subjects:
- kind: ServiceAccount
  name: SECOND
  namespace: NAMESPACE
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: SECOND
  namespace: NAMESPACE
data:
  kube-scheduler.yaml: |
CONFIG---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: SECOND
  namespace: NAMESPACE
  labels:
    app.kubernetes.io/name: SECOND
spec:
  # One decides, the other stands by.
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: SECOND
  template:
    metadata:
      labels:
        app.kubernetes.io/name: SECOND
    spec:
      serviceAccountName: SECOND
      priorityClassName: system-cluster-critical
      # It cannot be placed by itself.
      schedulerName: default-scheduler
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile:
          type: RuntimeDefault
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            podAffinityTerm:
              topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels:
                  app.kubernetes.io/name: SECOND
      containers:
      - name: kube-scheduler
        image: IMAGE
        command: [kube-scheduler]
        args:
        - --config=/etc/heteroaccel/kube-scheduler.yaml
        ports:
        - name: https
          containerPort: 10259
        livenessProbe:
          httpGet:
            path: /livez
            port: https
            scheme: HTTPS
          initialDelaySeconds: 10
        readinessProbe:
          httpGet:
            path: /readyz
            port: https
            scheme: HTTPS
        resources:
          requests:
            cpu: 50m
            memory: 64Mi
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities:
            drop: [ALL]
        volumeMounts:
        - name: config
          mountPath: /etc/heteroaccel
          readOnly: true
MOUNTS
      volumes:
      - name: config
        configMap:
          name: SECOND
VOLUMES
`
