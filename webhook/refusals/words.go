package refusals

import (
	"regexp"
	"strings"
)

// longestWords bounds, in bytes, what is kept of a judge's words.
const longestWords = 300

// bySomebodyElse reports whether a controller's report tells of a refusal that
// could depend on the pod: not one of our own, and not of a webhook that did
// not answer.
func bySomebodyElse(message string) bool {
	if strings.Contains(message, "pods.heteroaccel.io") {
		return false
	}
	for _, refused := range []string{" is forbidden: ", " is invalid: ", " denied the request"} {
		if strings.Contains(message, refused) {
			return true
		}
	}
	return false
}

// overQuotas reports whether a quota refused the pod. The quota plugin is the
// last to judge: nobody else is against it.
func overQuotas(words string) bool { return strings.Contains(words, "exceeded quota: ") }

// podName is how the API server begins to speak of a pod that it refuses.
var podName = regexp.MustCompile(`^.*?[Pp]ods? "[^"]*" is (?:forbidden|invalid): `)

// tidy leaves of the API server's words what is the same for all pods of an
// owner: which pod it was says nothing.
func tidy(words string) string {
	return bounded(podName.ReplaceAllString(words, ""))
}

func bounded(words string) string {
	words = strings.Join(strings.Fields(strings.ToValidUTF8(words, "")), " ")
	if len(words) <= longestWords {
		return words
	}
	return strings.ToValidUTF8(words[:longestWords-len("…")], "") + "…"
}

// refusedBy is the end of a sentence that begins with the kind.
func refusedBy(words string) string {
	if words == "" {
		return "was refused by the API server or one of its webhooks: no pod came of two decisions"
	}
	return "was refused by the API server: " + words
}
