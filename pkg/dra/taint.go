package dra

import resourcev1 "k8s.io/api/resource/v1"

// keepsOff reports whether no claim gets a device with this taint, unless its request
// tolerates it, as none of ours does.
func keepsOff(t resourcev1.DeviceTaint) bool {
	return t.Effect == resourcev1.DeviceTaintEffectNoSchedule || t.Effect == resourcev1.DeviceTaintEffectNoExecute
}

// rule is a DeviceTaintRule that keeps claims off devices.
type rule struct{ driver, pool, device *string }

// ruleOf reads a rule, ok false for one that keeps claims off none.
func ruleOf(r *resourcev1.DeviceTaintRule) (out rule, ok bool) {
	s := r.Spec.DeviceSelector
	if s == nil || !keepsOff(r.Spec.Taint) {
		return rule{}, false
	}
	return rule{s.Driver, s.Pool, s.Device}, true
}

// selects reports whether the rule taints a device. What it does not name, it does not
// ask for.
func (r rule) selects(d id) bool {
	is := func(want *string, got string) bool { return want == nil || *want == got }
	return is(r.driver, d.driver) && is(r.pool, d.pool) && is(r.device, d.device)
}
