package readmit

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
)

// notRecreated publishes that the API server refuses the pod of a record.
func (r *Readmitter) notRecreated(slot string, rec *record, err error) {
	r.mu.Lock()
	u := r.unwanted[slot]
	if u.Name == "" {
		u = kube.NotRecreated{Namespace: rec.Namespace, Name: rec.Name, Secret: slot, Since: time.Now().UTC()}
	}
	u.Tries++
	u.Refused = fmt.Sprintf("%.900s", err.Error())
	r.unwanted[slot] = u
	r.mu.Unlock()
	r.publish()
}

// recreated withdraws that.
func (r *Readmitter) recreated(slot string) {
	r.mu.Lock()
	_, was := r.unwanted[slot]
	delete(r.unwanted, slot)
	r.mu.Unlock()
	if was {
		r.publish()
	}
}

// publish writes the pods of refused records where the extender's pages read
// them. It explains; nothing depends on it, so that what fails is only logged.
func (r *Readmitter) publish() {
	r.publishing.Lock()
	defer r.publishing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	r.mu.Lock()
	content, err := json.Marshal(r.unwanted)
	r.mu.Unlock()
	if err == nil {
		err = r.writeStatus(ctx, content)
	}
	if err != nil {
		r.Log.Warn().Err(err).Msg("publish which pods are not recreated")
	}
}

func (r *Readmitter) writeStatus(ctx context.Context, content []byte) error {
	maps := r.Client.CoreV1().ConfigMaps(r.Namespace)
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

// tellProfile tells whoever looks after the profile that a pod which was deleted
// to be recreated is refused: the pod itself has no Events any more.
func (r *Readmitter) tellProfile(slot string, rec *record, err error) {
	var pod mutate.Pod
	if json.Unmarshal(rec.Pod, &pod) != nil {
		return
	}
	req, ours, parseErr := accel.ParseRequest(pod.Metadata.Annotations)
	if !ours || parseErr != nil {
		return
	}
	about := &corev1.ObjectReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "InferenceProfile", Name: req.Inference}
	if p, ok := r.Options.Profiles.Get(req.Inference); ok {
		about.UID = p.UID
	}
	r.Recorder.Eventf(about, nil, corev1.EventTypeWarning, "NotRecreated", "Readmission", "%.900s",
		fmt.Sprintf("pod %s/%s was deleted to be recreated for %s, and the API server refuses it on every kind: %v. It is created once that changes; its manifest is in secret %s/%s",
			rec.Namespace, rec.Name, rec.To, err, r.Namespace, slot))
}
