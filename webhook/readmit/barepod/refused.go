package barepod

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/refusals"
)

// noteRefused notes that the API server refused to create the pod of a record:
// the next try is for another kind. Once all kinds were tried, an Event on the
// profile reports it.
func (r *Recreator) noteRefused(ctx context.Context, name string, rec *Record, err error, tries int) {
	lost, _ := r.Refusals.CreateFailed(refusals.OwnerOf(rec.Namespace, "", rec.Name, ""), err.Error())
	for _, id := range lost {
		r.Release(rec.Namespace, id)
	}
	r.publishRefused(ctx, name, rec, err)
	if tries == promptTries {
		r.reportRefused(name, rec, err)
	}
}

// publishRefused publishes that the API server refuses the pod of a record.
func (r *Recreator) publishRefused(ctx context.Context, name string, rec *Record, err error) {
	r.mu.Lock()
	u := r.refused[name]
	if u.Name == "" {
		u = kube.NotRecreated{Namespace: rec.Namespace, Name: rec.Name, Secret: name, Since: time.Now().UTC()}
	}
	u.Tries++
	u.Refused = fmt.Sprintf("%.900s", err.Error())
	r.refused[name] = u
	r.mu.Unlock()
	r.publish(ctx)
}

// withdrawRefused withdraws that.
func (r *Recreator) withdrawRefused(ctx context.Context, name string) {
	r.mu.Lock()
	_, published := r.refused[name]
	delete(r.refused, name)
	r.mu.Unlock()
	if published {
		r.publish(ctx)
	}
}

// publish writes the pods of refused records where the extender's pages read
// them. Nothing depends on it: an error is only logged.
func (r *Recreator) publish(ctx context.Context) {
	r.publishing.Lock()
	defer r.publishing.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), podapi.CallLimit)
	defer cancel()
	r.mu.Lock()
	content, err := json.Marshal(r.refused)
	r.mu.Unlock()
	if err == nil {
		err = r.writeStatus(ctx, content)
	}
	if err != nil {
		r.Pods.Log.Warn().Err(err).Msg("publish the pods that the API server refuses to recreate")
	}
}

func (r *Recreator) writeStatus(ctx context.Context, content []byte) error {
	maps := r.Pods.CoreV1().ConfigMaps(r.Namespace)
	status := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: kube.StatusName},
		Data:       map[string]string{kube.NotRecreatedField: string(content)},
	}
	_, err := maps.Update(ctx, status, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, status, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write configmap %s/%s: %w", r.Namespace, kube.StatusName, err)
	}
	return nil
}

// reportRefused reports on the profile that a pod which was deleted to be
// recreated is refused: the pod itself has no Events any more.
func (r *Recreator) reportRefused(name string, rec *Record, err error) {
	var pod mutate.Pod
	if json.Unmarshal(rec.Pod, &pod) != nil {
		return
	}
	req, ours, parseErr := accel.ParseRequest(pod.Metadata.Annotations)
	if !ours || parseErr != nil {
		return
	}
	about := &corev1.ObjectReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "InferenceProfile", Name: req.Inference}
	if p, ok := r.Profiles.Get(req.Inference); ok {
		about.UID = p.UID
	}
	r.Recorder.Eventf(about, nil, corev1.EventTypeWarning, "NotRecreated", "Readmission", "%.900s",
		fmt.Sprintf("pod %s/%s was deleted to be recreated for %s, and the API server refuses it on every kind: %v. It is created once that changes; its manifest is in secret %s/%s",
			rec.Namespace, rec.Name, rec.To, err, r.Namespace, name))
}
