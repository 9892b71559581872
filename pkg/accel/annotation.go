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
	// ReadmissionAnnotation is "false" on a pod that is never to be recreated
	// for another kind, and "true" on one whose controller recreates pods only
	// when somebody deletes them (OnDelete) and that may be all the same.
	ReadmissionAnnotation = Prefix + "readmission"

	// The bare keys count only when both stand together, so that nobody
	// else's annotation makes a pod ours.
	bareInference   = "inference"
	bareAccelerator = "accelerator"
)

// Written by the webhook. Whoever may write a pod may write these too, so none
// of them is trusted on the way in.
const (
	// SelectedAnnotation is the kind that was chosen.
	SelectedAnnotation = Prefix + "selected"
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
	// IntendedAnnotation names, authenticated, the kind that a dry run of the
	// webhook's own is about. No pod that is created keeps it.
	IntendedAnnotation = Prefix + "intended"
	// RetryAnnotation is changed on a pod that waits, so that kube-scheduler
	// looks at it again.
	RetryAnnotation = Prefix + "retry"
	// SuccessorAnnotation names, authenticated, in whose place a pod comes that
	// the webhook created before that one is gone, until it belongs to the same
	// ReplicaSet.
	SuccessorAnnotation = Prefix + "successor"
)

// SuccessorLabel is on pods with a SuccessorAnnotation, so that they are found.
const SuccessorLabel = Prefix + "successor"

// ReleasedLabel marks a Job's pod that was taken from its Job to be deleted.
// Its value is a code that only the webhook can make.
const ReleasedLabel = Prefix + "released"

// DeviceEnv is the environment variable that tells a program the OpenVINO
// device it was given, for programs that take no flag.
const DeviceEnv = "HETEROACCEL_DEVICE"
