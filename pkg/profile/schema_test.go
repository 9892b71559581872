package profile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

const crdFile = "../../deploy/base/crd/heteroaccel.io_inferenceprofiles.yaml"

// schema validates objects as an API server with the CRD does.
type schema struct {
	basic      validation.SchemaValidator
	structural *structural.Structural
	rules      *cel.Validator
}

func readCRD(t testing.TB) *apiextensions.CustomResourceDefinition {
	t.Helper()
	data, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	v1 := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(data, v1); err != nil {
		t.Fatal(err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&v1.Spec)
	crd := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(v1, crd, nil); err != nil {
		t.Fatal(err)
	}
	// The API server fills this in before it validates.
	crd.Status.StoredVersions = []string{v1alpha1.SchemeGroupVersion.Version}
	return crd
}

func readSchema(t testing.TB) schema {
	t.Helper()
	props := readCRD(t).Spec.Validation.OpenAPIV3Schema
	basic, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		t.Fatal(err)
	}
	s, err := structural.NewStructural(props)
	if err != nil {
		t.Fatal(err)
	}
	return schema{basic: basic, structural: s, rules: cel.NewValidator(s, true, celconfig.PerCallLimit)}
}

func (s schema) validate(t testing.TB, obj map[string]any) field.ErrorList {
	t.Helper()
	errs := validation.ValidateCustomResource(nil, obj, s.basic)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, obj)...)
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return errs // the API server leaves the rules out then
		}
	}
	broken, left := s.rules.Validate(t.Context(), nil, s.structural, obj, nil, celconfig.RuntimeCELCostBudget)
	if left < 0 {
		t.Errorf("the rules cost more than the API server allows")
	}
	return append(errs, broken...)
}

// TestCRDIsValid covers what the API server checks when the CRD is created:
// that the rules compile, and their estimated cost.
func TestCRDIsValid(t *testing.T) {
	if errs := crdvalidation.ValidateCustomResourceDefinition(t.Context(), readCRD(t)); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
}

// TestRefused: the comment on a file's first line is part of the API server's error.
func TestRefused(t *testing.T) {
	s := readSchema(t)
	for name, data := range testdata(t, "refused") {
		t.Run(name, func(t *testing.T) {
			first, _, _ := strings.Cut(string(data), "\n")
			want := strings.TrimPrefix(first, "# ")
			errs := s.validate(t, object(t, data))
			for _, err := range errs {
				if strings.Contains(err.Error(), want) {
					return
				}
			}
			t.Errorf("no error holds\n%s\nin\n%v", want, errs)
		})
	}
}

// TestAccepted: what the schema accepts can be decoded and used.
func TestAccepted(t *testing.T) {
	s := readSchema(t)
	for name, data := range testdata(t, "accepted") {
		t.Run(name, func(t *testing.T) {
			if errs := s.validate(t, object(t, data)); len(errs) > 0 {
				t.Error(errs.ToAggregate())
			}
			in := &v1alpha1.InferenceProfile{}
			if err := yaml.UnmarshalStrict(data, in); err != nil {
				t.Fatal(err)
			}
			if _, err := profile.New(in); err != nil {
				t.Error(err)
			}
		})
	}
}

// testdata reads the profiles in testdata/dir, by file name.
func testdata(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no profiles in testdata/%s: %v", dir, err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".yaml")] = data
	}
	return out
}

// object decodes a profile as the API server does, numbers as int64.
func object(t testing.TB, data []byte) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	obj := map[string]any{}
	if err := json.Unmarshal(data, &obj); err != nil {
		t.Fatal(err)
	}
	return obj
}
