// Package admission predicts what the API server's own admission will say of a
// pod, as far as the rules of its namespace tell.
//
// LimitRanges and the pod-security labels of namespaces enter through Set and
// Delete methods, which nothing but the informers call. What leaves is, for a
// pod exactly as it would be created, one phrase that says why it would be
// refused, or "" when nothing is known against it. The judgements are pure:
// limitrange.go does what the LimitRanger plugin does, podsecurity.go asks the
// library that the PodSecurity plugin is made of.
//
// A prediction is on the safe side: where the API server's answer depends on
// what cannot be seen from here, as on the order in which it reads two
// LimitRanges, nothing is predicted. What an administrator exempts from
// PodSecurity in the API server's own configuration cannot be seen either: a
// kind that is taken to be refused there comes last, and is still to be had.
package admission
