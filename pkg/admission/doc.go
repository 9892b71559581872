// Package admission predicts what the API server's admission plugins say of a pod
// by the rules of its namespace: LimitRanger and PodSecurity.
//
// LimitRanges and the pod-security labels of namespaces enter through Set and
// Delete methods, which only the informers call. What leaves is, for a pod exactly
// as it would be created, one phrase that says why it would be denied, or "" when
// nothing is known against it. Both checks are pure: limitrange.go does what the
// LimitRanger plugin does, podsecurity.go calls the library that the PodSecurity
// plugin is made of. ResourceQuotas are not here but in pkg/quota, which says why.
//
// A prediction is on the safe side. Where the API server's answer depends on what
// cannot be seen from here, such as the order in which it reads two LimitRanges,
// nothing is predicted. Exemptions from PodSecurity in the API server's own
// configuration cannot be seen either: a kind that is wrongly expected to be
// denied is ordered last, and can still be chosen.
package admission
