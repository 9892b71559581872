package discovery

import (
	"errors"
	"path/filepath"
	"regexp"
	"time"
)

// Activity is how much a device works, as far as the kernel lets everybody read
// it. At most one of Busy, Idle and Share is set; none for drivers that report
// it only to the privileged, such as nvidia, or not at all.
type Activity struct {
	// Busy is how long it has worked since its driver was bound.
	Busy *time.Duration
	// Idle is how long each of its parts has slept since its driver was bound.
	// A part that is awake does not always work: the rest of the time is the
	// most that it can have worked.
	Idle []time.Duration
	// Share is how busy it was just now, 0 to 1, where the driver keeps no
	// count.
	Share *float64
	// Asleep, in place of Idle, is set when it is powered down: it does no
	// work, and reading more would wake it.
	Asleep bool
}

// activityOf reads the activity of a device on the PCI bus; class is its
// directory in its class, such as class/drm/card0.
//
// i915 and xe count how long each GT, a part of the GPU, was in its sleep state
// C6 (drivers/gpu/drm/i915/gt/intel_gt_sysfs_pm.c; "Xe GT Idle" in
// Documentation/gpu/xe). The work of each engine is in perf, for CAP_PERFMON
// only. A virtual function has no such count.
//
// intel_vpu counts the time for which the NPU had jobs (DOC: npu_busy_time_us in
// drivers/accel/ivpu/ivpu_sysfs.c).
//
// amdgpu computes a percentage (gpu_busy_percent in
// Documentation/gpu/amdgpu/thermal.rst).
func activityOf(h hardware, class string) (Activity, error) {
	switch {
	case !activityDrivers[h.driver]:
		return Activity{}, nil
	case h.asleep && h.driver == "amdgpu":
		return Activity{Share: new(0.0)}, nil
	case h.asleep && h.driver != "intel_vpu":
		return Activity{Asleep: true}, nil
	}
	switch h.driver {
	case "i915":
		all, err := readIdle(filepath.Join(class, "gt"), gt, "rc6_residency_ms")
		if all.Idle == nil && err == nil { // Linux before 5.19
			return readIdle(class, power, "rc6_residency_ms")
		}
		return all, err
	case "xe":
		tiles, err := list(h.dir, tile)
		var all Activity
		for _, t := range tiles {
			part, errTile := readIdle(filepath.Join(h.dir, t), gt, "gtidle/idle_residency_ms")
			all.Idle = append(all.Idle, part.Idle...)
			err = errors.Join(err, errTile)
		}
		return all, err
	case "amdgpu":
		percent, known, err := readNumber(h.dir, "gpu_busy_percent")
		if !known || percent < 0 {
			return Activity{}, err
		}
		share := min(float64(percent)/100, 1)
		return Activity{Share: &share}, nil
	default:
		micros, known, err := readNumber(h.dir, "npu_busy_time_us")
		if !known || micros < 0 {
			return Activity{}, err
		}
		busy := time.Duration(micros) * time.Microsecond
		return Activity{Busy: &busy}, nil
	}
}

// activityDrivers are the drivers that let everybody read how busy a device is.
var activityDrivers = map[string]bool{"i915": true, "xe": true, "amdgpu": true, "intel_vpu": true}

var (
	gt    = regexp.MustCompile(`^gt[0-9]+$`)
	tile  = regexp.MustCompile(`^tile[0-9]+$`)
	power = regexp.MustCompile(`^power$`)
)

// readIdle reads the milliseconds asleep of every part in dir.
func readIdle(dir string, part *regexp.Regexp, counter string) (Activity, error) {
	names, err := list(dir, part)
	errs := []error{err}
	var a Activity
	for _, name := range names {
		millis, known, err := readNumber(dir, filepath.Join(name, counter))
		if err != nil {
			errs = append(errs, err)
		}
		if known && millis >= 0 {
			a.Idle = append(a.Idle, time.Duration(millis)*time.Millisecond)
		}
	}
	return a, errors.Join(errs...)
}
