package dra

import (
	"context"
	"errors"
	"fmt"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/dynamic-resource-allocation/cel"

	"heteroaccel.io/pkg/accel"
)

// features are those that kube-scheduler has by default. An expression that uses
// others does not compile, as it does not there.
var features = cel.Features{EnableConsumableCapacity: true}

// class is a DeviceClass, compiled.
type class struct {
	// resource is accel.ClassResource.
	resource string
	// expressions are those of programs, of which all must select a device.
	expressions []string
	programs    []cel.CompilationResult
	// failed is set once an error of it was reported.
	failed bool
}

var errNotCEL = errors.New("it is not a CEL expression")

// compile reads a DeviceClass. The error is of the first selector that is invalid: the
// class selects no device then.
func compile(c *resourcev1.DeviceClass) (*class, error) {
	out := &class{resource: accel.ClassResource(c.Name), expressions: expressions(c)}
	for i, s := range c.Spec.Selectors {
		if s.CEL == nil {
			return out, fmt.Errorf("selector %d: %w", i, errNotCEL)
		}
		p := cel.GetCompiler(features).CompileCELExpression(s.CEL.Expression, cel.Options{DisableCostEstimation: true})
		if p.Error != nil {
			return out, fmt.Errorf("selector %d: %w", i, p.Error)
		}
		out.programs = append(out.programs, p)
	}
	return out, nil
}

func expressions(c *resourcev1.DeviceClass) []string {
	all := make([]string, len(c.Spec.Selectors))
	for i, s := range c.Spec.Selectors {
		if s.CEL != nil {
			all[i] = s.CEL.Expression
		}
	}
	return all
}

// selects reports whether the class selects a device. One whose selectors did not
// compile selects none, and one without any selects all.
func (c *class) selects(driver string, d *resourcev1.Device) (bool, error) {
	if len(c.programs) < len(c.expressions) {
		return false, nil
	}
	for i, p := range c.programs {
		ok, _, err := p.DeviceMatches(context.Background(), cel.Device{
			Driver: driver, AllowMultipleAllocations: d.AllowMultipleAllocations, Attributes: d.Attributes, Capacity: d.Capacity,
		})
		if err != nil {
			return false, fmt.Errorf("selector %d, for device %s of driver %s: %w", i, d.Name, driver, err)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// with is the sorted list of resources with one of them, or without it.
func with(list []string, resource string, selected bool) []string {
	i, found := slices.BinarySearch(list, resource)
	switch {
	case selected && !found:
		return slices.Insert(slices.Clone(list), i, resource)
	case !selected && found:
		return slices.Delete(slices.Clone(list), i, i+1)
	}
	return list
}
