// Records what Helm's functions do, for the tests of src/sprig.
//
// Usage: go run . ../../cases/sprig
//
// Each file has one JSON object a line. The program reads the expressions and writes the same
// lines with what Helm's engine makes of them over the values of values.yaml.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// record is one case: the expression, then what Helm made of it.
type record struct {
	In string `json:"in"`
	// kind is `out`, `error`, or `requested` for what `fail` was told.
	kind, answer string
}

// line is the case as it stands in its file.
func (r record) line() string {
	return fmt.Sprintf("{\"in\": %s, %q: %s}", quote(r.In), r.kind, quote(r.answer))
}

// quote writes a JSON string, with nothing escaped that need not be.
func quote(text string) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	// Times are shown in the zone of the computer.
	time.Local = time.UTC
	values, err := os.ReadFile(filepath.Join(folder, "values.yaml"))
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := rewrite(file, values); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func rewrite(file string, values []byte) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked record
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		answer := record{In: asked.In}
		if err := answer.ask(values); err != nil {
			return err
		}
		fmt.Fprintln(&out, answer.line())
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// ask renders the expression in a template of its own. The output goes through JSON, since Helm
// takes `<no value>` out of what a file renders to.
func (r *record) ask(text []byte) error {
	values, err := chartutil.ReadValues(text)
	if err != nil {
		return err
	}
	c := &chart.Chart{
		Metadata: &chart.Metadata{APIVersion: "v2", Name: "c", Version: "0.1.0"},
		Values:   values,
		Templates: []*chart.File{
			{Name: "templates/_t.tpl", Data: []byte(`{{ define "t" }}` + r.In + `{{ end }}`)},
			{Name: "templates/a.yaml", Data: []byte(`{{ include "t" . | b64enc | toJson }}`)},
		},
	}
	release := chartutil.ReleaseOptions{Name: "r", Namespace: "default", Revision: 1, IsInstall: true}
	top, err := chartutil.ToRenderValues(c, map[string]interface{}{}, release, nil)
	if err != nil {
		return err
	}
	files, err := engine.Render(c, top)
	if err != nil {
		return r.refuse(err.Error())
	}
	var bytes []byte
	if err := json.Unmarshal([]byte(files["c/templates/a.yaml"]), &bytes); err != nil {
		return err
	}
	r.kind, r.answer = "out", string(bytes)
	return nil
}

// refuse keeps the innermost part of an error.
func (r *record) refuse(text string) error {
	if rest, ok := strings.CutPrefix(text, "execution error at ("); ok {
		r.kind = "requested"
		_, r.answer, _ = strings.Cut(rest, "): ")
		return nil
	}
	parts := strings.Split(text, `executing "t" at <`)
	_, answer, ok := strings.Cut(parts[len(parts)-1], ">: ")
	if !ok {
		return fmt.Errorf("%s is no template: %s", r.In, text)
	}
	r.kind, r.answer = "error", answer
	return nil
}
