package verbs

// appendScores appends an extenderv1.HostPriorityList with the score of each
// node, from 0 to MaxExtenderPriority.
func (v *Verbs) appendScores(b []byte, a *args) []byte {
	q := v.query(a.Pod, v.Inventory.Now())
	b = append(b, '[')
	for i, n := range v.Inventory.Lookup(a.NodeNames) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendHostPriority(b, a.NodeNames[i], q.Score(n))
	}
	return append(b, ']')
}
