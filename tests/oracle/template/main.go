// Records what Go's text/template and fmt do, for the tests of src/template.
//
// Usage: go run . ../../cases/template
//
// Each file has one JSON object a line. The program reads the input fields and writes the same
// lines with Go's answers.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

// record is one case: inputs, then answers.
type record struct {
	In      string            `json:"in"`
	Missing string            `json:"missing,omitempty"`
	Args    []json.RawMessage `json:"args,omitempty"`
	Out     *string           `json:"out,omitempty"`
	Error   string            `json:"error,omitempty"`
}

// Thing is the struct with fields and methods that the cases use.
type Thing struct{ Name string }

// Add is a method with arguments.
func (t *Thing) Add(a, b int) int { return a + b }

// Fail is a method that fails.
func (t *Thing) Fail() (int, error) { return 0, errors.New("it failed") }

// String is what an action prints.
func (t *Thing) String() string { return "the thing" }

func data() map[string]any {
	return map[string]any{
		"True": true, "I": 17, "I64": int64(6), "U8": uint8(7), "U64": uint64(8), "F": 1.5,
		"Big": 1e6, "X": "x", "Empty": "", "Nil": nil,
		"L": []any{3, 4, 5}, "LN": []any{nil}, "LE": []any{}, "LS": []string{"a", "b"},
		"B": []byte("ab"), "M": map[string]any{"one": 1, "two": 2}, "ME": map[string]any{},
		"MM": map[string]any{"in": map[string]any{"deep": "er"}},
		"MS": map[string]string{"k": "v"}, "MI": map[string]int{"one": 1}, "T": &Thing{"thing"},
	}
}

// include and tpl do what Helm's do.
func include(t *template.Template) any {
	return func(name string, data any) (string, error) {
		var out strings.Builder
		err := t.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
}

func tpl(parent *template.Template, option string) any {
	return func(text string, data any) (string, error) {
		t, err := parent.Clone()
		if err != nil {
			return "", err
		}
		t.Option("missingkey=" + option)
		t.Funcs(template.FuncMap{"include": include(t), "tpl": tpl(t, option)})
		t, err = t.New(parent.Name()).Parse(text)
		if err != nil {
			return "", fmt.Errorf("cannot parse template %q: %w", text, err)
		}
		var out strings.Builder
		if err := t.Execute(&out, data); err != nil {
			return "", fmt.Errorf("error during tpl function execution for %q: %w", text, err)
		}
		return strings.ReplaceAll(out.String(), "<no value>", ""), nil
	}
}

func functions() template.FuncMap {
	return template.FuncMap{
		"fail":  func(text string) (string, error) { return "", errors.New(text) },
		"upper": strings.ToUpper,
		"add1":  func(number int) int { return number + 1 },
		"list":  func(items ...any) []any { return items },
		"keys": func(m map[string]any) []string {
			keys := []string{}
			for _, pair := range sorted(m) {
				keys = append(keys, pair)
			}
			return keys
		},
		"set": func(m map[string]any, key string, value any) map[string]any {
			m[key] = value
			return m
		},
		"join":   func(separator string, items []string) string { return strings.Join(items, separator) },
		"concat": func(first string, rest ...string) string { return first + strings.Join(rest, "") },
		"int64": func(value any) int64 {
			number, _ := value.(int)
			return int64(number)
		},
		"float": func(value float64) float64 { return value },
		"none":  func() any { return nil },
	}
}

func sorted(m map[string]any) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
		for i := len(keys) - 1; i > 0 && keys[i] < keys[i-1]; i-- {
			keys[i], keys[i-1] = keys[i-1], keys[i]
		}
	}
	return keys
}

func execute(r *record) {
	option := r.Missing
	if option == "" {
		option = "zero"
	}
	root := template.New("gotpl").Option("missingkey=" + option)
	root.Funcs(functions())
	root.Funcs(template.FuncMap{"include": include(root), "tpl": tpl(root, option)})
	if _, err := root.New("t").Parse(r.In); err != nil {
		r.Error = err.Error()
		return
	}
	var out bytes.Buffer
	if err := root.ExecuteTemplate(&out, "t", data()); err != nil {
		r.Error = err.Error()
		return
	}
	text := out.String()
	r.Out = &text
}

func parsed(r *record) {
	builtins := map[string]any{}
	for _, name := range strings.Fields("and or not call len index slice html js urlquery print " +
		"printf println eq ne lt le gt ge") {
		builtins[name] = true
	}
	trees, err := parse.Parse("name", r.In, "", "", builtins)
	if err != nil {
		r.Error = err.Error()
		return
	}
	text := trees["name"].Root.String()
	r.Out = &text
}

// value reads an argument: JSON with Go's type as the only key of an object.
func value(raw json.RawMessage) any {
	var typed map[string]json.RawMessage
	if json.Unmarshal(raw, &typed) != nil || len(typed) != 1 {
		panic("not a typed value: " + string(raw))
	}
	for name, raw := range typed {
		var text string
		_ = json.Unmarshal(raw, &text)
		switch name {
		case "nil":
			return nil
		case "bool":
			return text == "true"
		case "string":
			return text
		case "bytes":
			return []byte(text)
		case "int":
			number, _ := strconv.Atoi(text)
			return number
		case "int64":
			number, _ := strconv.ParseInt(text, 10, 64)
			return number
		case "uint8":
			number, _ := strconv.ParseUint(text, 10, 8)
			return uint8(number)
		case "uint64":
			number, _ := strconv.ParseUint(text, 10, 64)
			return number
		case "float":
			number, _ := strconv.ParseFloat(text, 64)
			return number
		case "strings":
			items := []string{}
			_ = json.Unmarshal(raw, &items)
			return items
		case "list":
			items := []any{}
			var raws []json.RawMessage
			_ = json.Unmarshal(raw, &raws)
			for _, raw := range raws {
				items = append(items, value(raw))
			}
			return items
		case "map":
			entries := map[string]any{}
			var raws map[string]json.RawMessage
			_ = json.Unmarshal(raw, &raws)
			for key, raw := range raws {
				entries[key] = value(raw)
			}
			return entries
		}
	}
	panic("unknown type: " + string(raw))
}

func printed(r *record) {
	var args []any
	for _, raw := range r.Args {
		args = append(args, value(raw))
	}
	text := fmt.Sprintf(r.In, args...)
	r.Out = &text
}

func main() {
	for name, answer := range map[string]func(*record){
		"exec.jsonl": execute, "parse.jsonl": parsed, "print.jsonl": printed,
	} {
		path := filepath.Join(os.Args[1], name)
		text, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			var r record
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				panic(fmt.Sprintf("%s: %s: %v", path, lines.Text(), err))
			}
			r.Out, r.Error = nil, ""
			answer(&r)
			if err := encoder.Encode(r); err != nil {
				panic(err)
			}
		}
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			panic(err)
		}
	}
}
