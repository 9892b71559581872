package dradriver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/exporter/cdi"
	"heteroaccel.io/pkg/accel"
)

// sweep removes the files of claims that no longer exist, once after the start: while
// no driver ran, nobody unprepared them if the kubelet's own list was lost. It is tried
// again until the API server has told of each.
func (d *Driver) sweep(ctx context.Context) {
	if d.swept {
		return
	}
	d.claims.Lock()
	defer d.claims.Unlock()
	claims, err := d.files.Claims()
	if err != nil {
		d.log.Warn().Err(err).Msg("files of claims cannot be read")
	}
	for _, c := range claims {
		left, err := d.isLeft(ctx, c)
		if left && err == nil {
			err = d.files.Remove(c.UID)
		}
		if err != nil {
			d.log.Warn().Err(err).Msg("leftover files of claims are looked for again")
			return
		}
		if left {
			d.log.Info().Str("namespace", c.Namespace).Str("claim", c.Name).Str("uid", string(c.UID)).Msg("file of a claim that is gone is removed")
		}
	}
	d.swept = true
}

// isLeft reports whether a prepared claim is gone, or has no device of this node any
// more. A file that does not say whose claim it is serves nobody.
func (d *Driver) isLeft(ctx context.Context, c cdi.Claim) (bool, error) {
	if c.Name == "" {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now, err := d.client.ResourceV1().ResourceClaims(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read claim %s/%s: %w", c.Namespace, c.Name, err)
	}
	return now.UID != c.UID || len(d.allocated(now)) == 0, nil
}

// removeDeadSockets removes the sockets of earlier instances that were killed: each has
// names of its own, and the kubelet would try to reach it for ever.
func (d *Driver) removeDeadSockets() {
	for _, pattern := range []string{
		filepath.Join(d.config.RegistryDir, accel.DeviceDriver+"-*reg.sock"),
		filepath.Join(d.config.DataDir, "dra*.sock"),
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			d.log.Warn().Err(err).Str("pattern", pattern).Msg("sockets cannot be listed")
		}
		for _, path := range paths {
			conn, err := net.DialTimeout("unix", path, time.Second)
			if err == nil {
				_ = conn.Close() // somebody listens
				continue
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				d.log.Warn().Err(err).Msg("socket of an earlier instance stays")
				continue
			}
			d.log.Info().Str("socket", path).Msg("socket of an earlier instance is removed")
		}
	}
}
