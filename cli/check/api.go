package check

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Oldest is the first minor version of Kubernetes that HeteroAccel is tested on, as the
// chart's kubeVersion says too.
const Oldest = "1.35"

var oldest = version.MustParseGeneric(Oldest + ".0")

// server judges the API server's version.
func server(c *Cluster) []Line {
	const check = "kubernetes"
	if c.Server.Err != nil {
		return []Line{unread(check, c.Server.Err, "ask the API server for its version", "the API server does not tell its version", "")}
	}
	v, err := version.ParseGeneric(c.Server.Value)
	switch {
	case err != nil:
		return []Line{wrong(check, "kubectl version", "the API server's version %q is none", c.Server.Value)}
	case v.LessThan(oldest):
		return []Line{wrong(check, "", "the API server is %s, and HeteroAccel needs %s or newer: upgrade the cluster", c.Server.Value, Oldest)}
	}
	return []Line{ok(check, "the API server is %s", c.Server.Value)}
}

// crd judges the definition of InferenceProfiles.
func crd(c *Cluster) []Line {
	const check = "crd"
	fix := c.install()
	if c.CRD.Err != nil {
		return []Line{unread(check, c.CRD.Err, "read CustomResourceDefinitions", "the CustomResourceDefinition "+CRDName+" is missing", fix)}
	}
	crd := c.CRD.Value
	established := slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
	if !established {
		return []Line{wrong(check, "kubectl describe crd "+CRDName, "the CustomResourceDefinition %s is not established: the API server does not serve it", CRDName)}
	}
	i := slices.IndexFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == v1alpha1.SchemeGroupVersion.Version && v.Served
	})
	if i < 0 || crd.Spec.Versions[i].Schema == nil || crd.Spec.Versions[i].Schema.OpenAPIV3Schema == nil {
		return []Line{wrong(check, fix, "the CustomResourceDefinition %s does not serve %s", CRDName, v1alpha1.SchemeGroupVersion.Version)}
	}
	var missing []string
	for _, f := range ownFields {
		if _, there := schemaAt(crd.Spec.Versions[i].Schema.OpenAPIV3Schema, f); !there {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		return []Line{wrong(check, fix, "the CustomResourceDefinition is of another version than this program: it lacks %s", list(missing))}
	}
	return []Line{ok(check, "%s is established, and has every field of this version", CRDName)}
}

// ownFields are the fields of an InferenceProfile that are defined by us, such as
// spec.variants[].image.
var ownFields = fields(reflect.TypeFor[v1alpha1.InferenceProfile](), "")

func fields(t reflect.Type, prefix string) []string {
	var all []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "metadata" {
			continue
		}
		path := prefix + name
		all = append(all, path)
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice {
				path += "[]"
			}
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == t.PkgPath() {
			all = append(all, fields(inner, path+".")...)
		}
	}
	return all
}

// schemaAt finds a field in a schema.
func schemaAt(s *apiextensionsv1.JSONSchemaProps, path string) (*apiextensionsv1.JSONSchemaProps, bool) {
	for name := range strings.SplitSeq(path, ".") {
		name, isList := strings.CutSuffix(name, "[]")
		p, there := s.Properties[name]
		if !there {
			return nil, false
		}
		s = &p
		if isList {
			if s.Items == nil || s.Items.Schema == nil {
				return nil, false
			}
			s = s.Items.Schema
		}
	}
	return s, true
}

// list names things in a sentence, the first few of many.
func list(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
