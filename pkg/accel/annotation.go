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
	// ReadmissionsAnnotation is how often the pod was made again for another
	// kind; absent when it never was.
	ReadmissionsAnnotation = Prefix + "readmissions"
	// RetryAnnotation is changed on a pod that waits, so that kube-scheduler
	// looks at it again.
	RetryAnnotation = Prefix + "retry"
)

// ReleasedLabel marks a Job's pod that was taken from its Job to be deleted.
// Its value is a code that only the webhook can make.
const ReleasedLabel = Prefix + "released"

// DeviceEnv is the environment variable that tells a program the OpenVINO
// device it was given, for programs that take no flag.
const DeviceEnv = "HETEROACCEL_DEVICE"
