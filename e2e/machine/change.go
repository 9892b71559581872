package machine

import "fmt"

// SetHealthy is what the device's plugin tells the kubelet about it. The
// trees do not change: see Unbind for a fault that can be seen in sysfs.
func (m *Machine) SetHealthy(device string, healthy bool) error {
	if _, err := m.Device(device); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(device).ill = !healthy
	return nil
}

// Unbind takes the device from its driver: it stays on its bus, but without a
// driver link and without a class device. Its plugin still lists it; plugins
// differ in how soon they notice.
func (m *Machine) Unbind(device string) error {
	return m.change(device, "unbind", (*tree).unbind, func(*state) {})
}

// Bind gives the device back to its driver.
func (m *Machine) Bind(device string) error {
	return m.change(device, "bind", (*tree).bind, func(*state) {})
}

// Unplug takes the device away, from sysfs and from its plugin's list.
func (m *Machine) Unplug(device string) error {
	return m.change(device, "unplug", (*tree).unplug, func(s *state) { s.unplugged = true })
}

// Plug brings the device back, where it was.
func (m *Machine) Plug(device string) error {
	return m.change(device, "plug", (*tree).plug, func(s *state) { s.unplugged = false })
}

// change rewrites the trees for a device, then its state.
func (m *Machine) change(device, verb string, write func(*tree, Device), then func(*state)) error {
	d, err := m.Device(device)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root == "" {
		return fmt.Errorf("machine %s has no trees yet: call Write first", m.Name)
	}
	t := &tree{root: m.sys()}
	write(t, d)
	if t.err != nil {
		return fmt.Errorf("%s %s of machine %s: %w", verb, device, m.Name, t.err)
	}
	then(m.of(device))
	return nil
}
