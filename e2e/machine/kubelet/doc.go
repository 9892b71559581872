// Package kubelet is the part of a kubelet that monitoring agents talk to: the
// PodResources gRPC service on a unix socket.
//
// A machine and the pods bound to it enter; which container holds which
// device, decided as the kubelet's device manager would decide it, leaves. It
// never talks to the API server and never changes a pod: a pod that the real
// kubelet would refuse for want of devices is listed without any.
package kubelet
