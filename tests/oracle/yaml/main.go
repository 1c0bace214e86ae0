// Records what the YAML library of Helm reads and writes, for the tests of src/yaml.
//
// Usage: go run . ../../cases/yaml
//
// read.json has pairs of a text and its JSON, or `ERR ` and why there is none; write.json pairs of
// JSON and its YAML. The program keeps the first of each pair and writes the second.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

func read(text string) string {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return "ERR " + err.Error()
	}
	return compact(value)
}

func write(text string) string {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return "ERR " + err.Error()
	}
	written, err := yaml.Marshal(value)
	if err != nil {
		return "ERR " + err.Error()
	}
	return string(written)
}

// compact is JSON on one line without escaped HTML.
func compact(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "ERR " + err.Error()
	}
	return string(bytes.TrimRight(out.Bytes(), "\n"))
}

func record(path string, answer func(string) string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var cases [][2]string
	if err := json.Unmarshal(text, &cases); err != nil {
		return err
	}
	for at := range cases {
		cases[at][1] = answer(cases[at][0])
	}
	// A line for each text, so that a change can be read.
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(compact(cases)), "", ""); err != nil {
		return err
	}
	out.WriteByte('\n')
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func main() {
	folder := os.Args[1]
	for name, answer := range map[string]func(string) string{"read.json": read, "write.json": write} {
		if err := record(filepath.Join(folder, name), answer); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
	}
}
