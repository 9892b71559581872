package verbs

import (
	"encoding/json"
	"strconv"
)

// Answers are appended to a buffer field by field. Side by side over HTTP, the
// p50 of filter was 15 to 25 % higher with results encoded by sonic: they need
// maps and lists that are built for one answer.

func appendFilterResult(b []byte, r *filterResult) []byte {
	if r.whole {
		b = append(b, `{"Nodes":{"metadata":{},"items":`...)
		b = appendList(b, r.nodes, func(b []byte, node json.RawMessage) []byte { return append(b, node...) })
		b = append(b, `},"NodeNames":null`...)
	} else {
		b = append(b, `{"Nodes":null,"NodeNames":`...)
		b = appendList(b, r.names, appendString)
	}
	b = append(b, `,"FailedNodes":`...)
	b = appendFailedNodes(b, r.failed)
	b = append(b, `,"FailedAndUnresolvableNodes":`...)
	b = appendFailedNodes(b, r.unresolvable)
	return append(b, `,"Error":""}`...)
}

// appendFilterError appends a filter result that is nothing but an error.
func appendFilterError(b []byte, sentence string) []byte {
	b = append(b, `{"Nodes":null,"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":`...)
	b = appendString(b, sentence)
	return append(b, '}')
}

func appendFailedNodes(b []byte, rejected []rejection) []byte {
	b = append(b, '{')
	for i, r := range rejected {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, r.node)
		b = append(b, ':')
		b = appendString(b, r.message)
	}
	return append(b, '}')
}

func appendHostPriority(b []byte, host string, score int64) []byte {
	b = append(b, `{"Host":`...)
	b = appendString(b, host)
	b = append(b, `,"Score":`...)
	b = strconv.AppendInt(b, score, 10)
	return append(b, '}')
}

func appendCandidates(b []byte, candidates []candidate) []byte {
	b = append(b, `{"NodeNameToMetaVictims":{`...)
	for i, c := range candidates {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, c.node)
		b = append(b, `:{"Pods":`...)
		b = appendList(b, c.victims.Pods, func(b []byte, p *metaPod) []byte {
			b = append(b, `{"UID":`...)
			b = appendString(b, p.UID)
			return append(b, '}')
		})
		b = append(b, `,"NumPDBViolations":`...)
		b = strconv.AppendInt(b, c.victims.NumPDBViolations, 10)
		b = append(b, '}')
	}
	return append(b, `}}`...)
}

func appendList[T any](b []byte, list []T, appendItem func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, item)
	}
	return append(b, ']')
}

// appendString appends s as a JSON string. Nearly all of them are node names and
// plain sentences, which need no escaping.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // json can marshal every string
	}
	return append(b, quoted...)
}
