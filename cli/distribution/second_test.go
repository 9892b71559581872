package distribution

import (
	"path"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	psapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// secondObject are those of a second kube-scheduler.
type secondObject struct {
	config     *corev1.ConfigMap
	deployment *appsv1.Deployment
	accounts   []string
	// roles are those that its account has, as Kind/name.
	roles map[string]bool
	lease *rbacv1.Role
}

// secondObjects reads a manifest, strictly.
func secondObjects(t *testing.T, manifest []byte) (o secondObject) {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	o.roles = map[string]bool{}
	bound := func(ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		if len(subjects) != 1 || subjects[0].Name != Second || subjects[0].Namespace != "heteroaccel-system" {
			t.Errorf("%s is bound to %+v", ref.Name, subjects)
		}
		o.roles[ref.Kind+"/"+ref.Name] = true
	}
	for document := range strings.SplitSeq(string(manifest), "\n---\n") {
		object, _, err := decoder.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		switch x := object.(type) {
		case *corev1.ConfigMap:
			o.config = x
		case *appsv1.Deployment:
			o.deployment = x
		case *corev1.ServiceAccount:
			o.accounts = append(o.accounts, x.Namespace+"/"+x.Name)
		case *rbacv1.ClusterRoleBinding:
			bound(x.RoleRef, x.Subjects)
		case *rbacv1.RoleBinding:
			bound(x.RoleRef, x.Subjects)
		case *rbacv1.Role:
			o.lease = x
		default:
			t.Errorf("it has a %T", x)
		}
	}
	return o
}

// TestSecond: the objects of a second kube-scheduler fit together, and the namespace
// admits its pods.
func TestSecond(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tls := range map[string]bool{"http": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			plan, err := For("second", request(t, tls))
			if err != nil {
				t.Fatal(err)
			}
			o := secondObjects(t, plan.Files[0].Data)
			pod := o.deployment.Spec.Template
			if selector := labels.SelectorFromSet(o.deployment.Spec.Selector.MatchLabels); !selector.Matches(labels.Set(pod.Labels)) {
				t.Error("the Deployment does not select its pods")
			}
			if pod.Spec.SchedulerName != corev1.DefaultSchedulerName || pod.Spec.ServiceAccountName != Second || len(o.accounts) != 1 || o.accounts[0] != "heteroaccel-system/"+Second {
				t.Errorf("its pods are placed by %q as %q, and there are the accounts %v", pod.Spec.SchedulerName, pod.Spec.ServiceAccountName, o.accounts)
			}
			for _, r := range evaluator.EvaluatePod(psapi.LevelVersion{Level: psapi.LevelRestricted, Version: psapi.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
				if !r.Allowed {
					t.Errorf("level restricted forbids it: %s: %s", r.ForbiddenReason, r.ForbiddenDetail)
				}
			}
			for _, role := range []string{"ClusterRole/system:kube-scheduler", "ClusterRole/system:volume-scheduler", "Role/extension-apiserver-authentication-reader", "Role/" + Second} {
				if !o.roles[role] {
					t.Errorf("its account lacks the role %s", role)
				}
			}
			if rules := o.lease.Rules; len(rules) != 2 || rules[1].ResourceNames[0] != Second || len(rules[0].ResourceNames) > 0 || len(rules[0].Verbs) != 1 {
				t.Errorf("its rights to Leases are %+v", rules)
			}
			mountedFiles(t, o, tls)
		})
	}
}

// mountedFiles: every file that the configuration names is where a volume puts it.
func mountedFiles(t *testing.T, o secondObject, tls bool) {
	t.Helper()
	var config schedulerv1.KubeSchedulerConfiguration
	if err := yaml.UnmarshalStrict([]byte(o.config.Data["kube-scheduler.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	spec := o.deployment.Spec.Template.Spec
	there := map[string]bool{}
	for _, m := range spec.Containers[0].VolumeMounts {
		for _, v := range spec.Volumes {
			switch {
			case v.Name != m.Name:
			case v.ConfigMap != nil && v.ConfigMap.Name == o.config.Name:
				there[path.Join(m.MountPath, "kube-scheduler.yaml")] = true
			case v.Secret != nil && v.Secret.SecretName == "heteroaccel-extender-client":
				for _, item := range v.Secret.Items {
					there[path.Join(m.MountPath, item.Path)] = true
				}
			}
		}
	}
	_, file, _ := strings.Cut(spec.Containers[0].Args[0], "=")
	named := []string{file}
	if tls {
		c := config.Extenders[0].TLSConfig
		named = append(named, c.CAFile, c.CertFile, c.KeyFile)
	}
	for _, file := range named {
		if !there[file] {
			t.Errorf("nothing puts %s in place; there are %v", file, there)
		}
	}
}
