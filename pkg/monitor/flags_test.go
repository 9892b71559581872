package monitor

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// parse reads a command line.
func parse(t *testing.T, args ...string) (Flags, error) {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	var f Flags
	f.Add(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f, f.Check()
}

func TestFlagsReject(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no scheme":     {[]string{"--prometheus-url=prometheus:9090"}, "write http://HOST:9090"},
		"commas":        {[]string{"--exporter-endpoints=,"}, "is not an exporter"},
		"bad exporter":  {[]string{"--exporter-endpoints=http://a:1,b:9817"}, `"b:9817" is not an exporter`},
		"dns with TLS":  {[]string{"--exporter-endpoints=dns+https://a:1"}, "http only"},
		"other scheme":  {[]string{"--exporter-endpoints=ftp://a:1"}, "is not an exporter"},
		"dns alone":     {[]string{"--exporter-endpoints=dns+http://exporters:1"}, "does not name the Service's namespace"},
		"bad URL":       {[]string{"--exporter-endpoints=http://a:port"}, "is not an exporter"},
		"both":          {[]string{"--exporter-endpoints=http://a:1", "--prometheus-url=http://b:9090"}, "give one of them"},
		"no interval":   {[]string{"--telemetry-interval=0s"}, "longer than 0"},
		"always stale":  {[]string{"--max-telemetry-age=-1s"}, "longer than 0"},
		"names a flag":  {[]string{"--exporter-endpoints=a"}, "--exporter-endpoints: "},
		"all series":    {[]string{"--prometheus-selector="}, "write matchers such as " + DefaultSelector},
		"no value":      {[]string{`--prometheus-selector=job!="x"`}, "no matcher demands a value"},
		"unquoted":      {[]string{"--prometheus-selector=job=exporter"}, "in double quotes"},
		"single quotes": {[]string{"--prometheus-selector=job='exporter'"}, "in double quotes"},
		"unfinished":    {[]string{`--prometheus-selector=job="exporter`}, "in double quotes"},
		"braces":        {[]string{`--prometheus-selector={job="x"}`}, "a matcher is a label"},
		"no comma":      {[]string{`--prometheus-selector=job="x" a="b"`}, "a comma stands between"},
		"comma at end":  {[]string{`--prometheus-selector=job="x",`}, "a matcher is a label"},
		"other query":   {[]string{`--prometheus-selector=job="x"} or up{a="b"`}, "a comma stands between"},
		"bad pattern":   {[]string{`--prometheus-selector=job="x",a=~"("`}, "label a"},
		"metric":        {[]string{`--prometheus-selector=job="x",__name__="up"`}, "leave out __name__"},
		"names another": {[]string{"--prometheus-url=a"}, "--prometheus-url: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, tc.args...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}

func TestFlagsAccept(t *testing.T) {
	for _, args := range [][]string{
		{"--prometheus-url=http://prometheus:9090"}, {"--prometheus-url=https://host/prefix/"},
		{"--exporter-endpoints=http://a:9817,http://b:9817"}, {"--exporter-endpoints=http://a:9817", "--exporter-endpoints=http://b:9817"},
		{"--exporter-endpoints=dns+http://heteroaccel-exporter.heteroaccel-exporter:9817"},
		{"--prometheus-url=http://a:9090", `--prometheus-selector= job = "a\"b", cluster=~"c|d", replica!="2"`},
	} {
		if _, err := parse(t, args...); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
	none, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	source, err := none.Source(nil)
	if err != nil {
		t.Fatal(err)
	}
	if scrapes, err := source(t.Context()); len(scrapes) > 0 || err != nil {
		t.Errorf("with no source there are %v, %v", scrapes, err)
	}
}
