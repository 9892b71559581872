package dra

import (
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/resources"
)

// capacity is an amount and the default of its request policy, "" for no policy.
func capacity(value, size string) resourcev1.DeviceCapacity {
	c := resourcev1.DeviceCapacity{Value: resource.MustParse(value)}
	if size != "" {
		c.RequestPolicy = &resourcev1.CapacityRequestPolicy{Default: new(resource.MustParse(size))}
	}
	return c
}

func TestSlots(t *testing.T) {
	type capacities = map[resourcev1.QualifiedName]resourcev1.DeviceCapacity
	type amounts = map[resourcev1.QualifiedName]string
	tests := map[string]struct {
		shared   bool
		capacity capacities
		slots    int64
		consumed amounts
		taken    int64
	}{
		"not shared":                          {false, capacities{"slots": capacity("4", "1")}, 1, amounts{"slots": "4"}, 1},
		"four slots":                          {true, capacities{"slots": capacity("4", "1")}, 4, amounts{"slots": "1"}, 1},
		"more than one of them":               {true, capacities{"slots": capacity("4", "1")}, 4, amounts{"slots": "3"}, 3},
		"a part of one more":                  {true, capacities{"slots": capacity("4", "1")}, 4, amounts{"slots": "1500m"}, 2},
		"more than there is":                  {true, capacities{"slots": capacity("4", "1")}, 4, amounts{"slots": "9"}, 4},
		"no end of them":                      {true, nil, resources.Max, nil, 1},
		"the scarcest counts":                 {true, capacities{"slots": capacity("4", "1"), "memory": capacity("8Gi", "3Gi")}, 2, amounts{"slots": "1", "memory": "3Gi"}, 1},
		"a claim for most of the scarcest":    {true, capacities{"slots": capacity("4", "1"), "memory": capacity("8Gi", "3Gi")}, 2, amounts{"slots": "1", "memory": "4Gi"}, 2},
		"without a policy a request gets all": {true, capacities{"memory": capacity("8Gi", "")}, 1, amounts{"memory": "2Gi"}, 1},
		"a default of nothing":                {true, capacities{"slots": capacity("4", "0")}, resources.Max, amounts{"slots": "2"}, 1},
		"a default above the capacity":        {true, capacities{"slots": capacity("1", "2")}, 0, amounts{"slots": "2"}, 1},
		"nothing left":                        {true, capacities{"slots": capacity("0", "1")}, 0, nil, 1},
		"milli":                               {true, capacities{"cores": capacity("2", "300m")}, 6, amounts{"cores": "301m"}, 2},
		"large":                               {true, capacities{"bytes": capacity("9E", "1n")}, resources.Max, amounts{"bytes": "1"}, 1_000_000_000},
		"excessive":                           {true, capacities{"slots": capacity("1e1000000000", "1")}, 0, amounts{"slots": "1e1000000000"}, 1},
		"consumed of what it does not have":   {true, capacities{"slots": capacity("4", "1")}, 4, amounts{"other": "3"}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &resourcev1.Device{Name: "d", AllowMultipleAllocations: &tt.shared, Capacity: tt.capacity}
			if got := Slots(d); got != tt.slots {
				t.Errorf("%d slots, want %d", got, tt.slots)
			}
			consumed := map[resourcev1.QualifiedName]resource.Quantity{}
			for name, amount := range tt.consumed {
				consumed[name] = resource.MustParse(amount)
			}
			if got := Taken(d, consumed); got != tt.taken {
				t.Errorf("a claim takes %d slots, want %d", got, tt.taken)
			}
		})
	}
}
