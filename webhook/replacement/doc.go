// Package replacement is what readmission tells admission about a pod that
// replaces one which waited: the kind, its reservation, and how often it was
// recreated.
//
// Expected replacements enter, then a new pod's namespace, controller and name;
// the expectation for that pod leaves. What must outlive the process is in
// annotations of the pods, sealed with the webhook's key: the kind that a dry run
// asks about, and the ReplicaSet that is to adopt a pod created first. The package
// calls no API and chooses nothing.
package replacement
