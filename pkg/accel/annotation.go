package accel

// Prefix is the domain of every annotation, label and resource of the project.
const Prefix = "heteroaccel.io/"

// Written by users, on a pod or a pod template.
const (
	// InferenceAnnotation names an InferenceProfile. Required.
	InferenceAnnotation = Prefix + "inference"
	// AcceleratorAnnotation is "any" or kinds in order of preference.
	AcceleratorAnnotation = Prefix + "accelerator"
	// ContainerAnnotation names the container to mutate.
	ContainerAnnotation = Prefix + "container"
	// ReadmissionAnnotation is "false" on a pod that must never be recreated for
	// another kind, and "true" on one that may be although its controller
	// replaces pods only when somebody deletes them (OnDelete).
	ReadmissionAnnotation = Prefix + "readmission"
	// UpgradeAnnotation is "true" on a pod that does not end by itself and may be moved to a
	// faster kind once one has been idle for a while, and "false" on one that never may,
	// not even after a rollout.
	UpgradeAnnotation = Prefix + "upgrade"
	// DeadlineAnnotation is by when after its creation the run of a pod should be done,
	// a Go duration, or "none". It overrides the profile's deadline.
	DeadlineAnnotation = Prefix + "deadline"

	// The bare keys count only when both stand together, so that nobody
	// else's annotation makes a pod ours.
	bareInference   = "inference"
	bareAccelerator = "accelerator"
)

// ResetLearnedAnnotation is written by users on an InferenceProfile: whenever it
// gets another value, what was learned of the profile is dropped.
const ResetLearnedAnnotation = Prefix + "reset-learned"

// Written by the webhook. Whoever may write a pod may write these too, so none
// of them is trusted on the way in.
const (
	// SelectedAnnotation is the kind that was chosen.
	SelectedAnnotation = Prefix + "selected"
	// DeviceAnnotation is the OpenVINO device of a pod that is bound late, which its
	// variable DeviceEnv is read from; absent from any other.
	DeviceAnnotation = Prefix + "device"
	// ReasonAnnotation says in one sentence why.
	ReasonAnnotation = Prefix + "reason"
	// ReservationAnnotation identifies the decision: at admission a pod has
	// no uid, and may have no name.
	ReservationAnnotation = Prefix + "reservation"
	// OriginalAnnotation records, authenticated, what the mutation replaced.
	OriginalAnnotation = Prefix + "original"
	// ReadmissionsAnnotation is how often the pod was recreated for another
	// kind; absent when it never was.
	ReadmissionsAnnotation = Prefix + "readmissions"
	// IntendedAnnotation names, authenticated, the kind that a dry run by the
	// webhook is about. No pod is created with it.
	IntendedAnnotation = Prefix + "intended"
	// DeletionCostAnnotation is the value of a pod's deletion cost if we set it: the slower
	// of a Deployment's pods are deleted first. A cost of another value is somebody else's.
	DeletionCostAnnotation = Prefix + "deletion-cost"
	// RetryAnnotation is changed on a pending pod so that kube-scheduler requeues
	// it.
	RetryAnnotation = Prefix + "retry"
	// SuccessorAnnotation names, authenticated, the pod that a new pod replaces.
	// The webhook creates the new one before the old one is gone, and removes the
	// annotation once it belongs to the same ReplicaSet.
	SuccessorAnnotation = Prefix + "successor"
)

// SuccessorLabel is on pods with a SuccessorAnnotation, for label selectors.
const SuccessorLabel = Prefix + "successor"

// ReleasedLabel marks a pod that the webhook released from its Job to delete it.
// Its value is a code that only the webhook can compute.
const ReleasedLabel = Prefix + "released"

// DeviceFieldPath is the field that DeviceEnv is read from in a pod that is bound late.
const DeviceFieldPath = "metadata.annotations['" + DeviceAnnotation + "']"

// DeviceEnv is the environment variable that tells a program the OpenVINO
// device it was given, for programs that take no flag.
const DeviceEnv = "HETEROACCEL_DEVICE"
