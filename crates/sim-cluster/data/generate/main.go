// Writes ../builtin-types.json: the fields of every built-in kind that sim-cluster serves, read from the Go types and
// from the structured-merge schemas that client-go and apiextensions carry. Run: go run . > ../builtin-types.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

var kinds = `v1 ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolumeClaim PersistentVolume Pod PodTemplate ReplicationController ResourceQuota Secret ServiceAccount Service
apiregistration.k8s.io/v1 APIService
apps/v1 ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
events.k8s.io/v1 Event
authentication.k8s.io/v1 SelfSubjectReview TokenReview TokenRequest
authorization.k8s.io/v1 LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
autoscaling/v1 Scale
autoscaling/v2 HorizontalPodAutoscaler
batch/v1 CronJob Job
networking.k8s.io/v1 IngressClass Ingress NetworkPolicy
policy/v1 PodDisruptionBudget Eviction
rbac.authorization.k8s.io/v1 ClusterRoleBinding ClusterRole RoleBinding Role
storage.k8s.io/v1 StorageClass
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration ValidatingWebhookConfiguration
apiextensions.k8s.io/v1 CustomResourceDefinition
scheduling.k8s.io/v1 PriorityClass
coordination.k8s.io/v1 Lease
discovery.k8s.io/v1 EndpointSlice`

// Field is one field of a struct. Short keys keep the table small.
type Field struct {
	Type     string   `json:"t"`
	Omit     bool     `json:"o,omitempty"` // left out when empty
	Pointer  bool     `json:"p,omitempty"`
	MergeKey string   `json:"k,omitempty"` // strategic merge: the key of list items
	Strategy string   `json:"s,omitempty"` // strategic merge: merge, replace, retainKeys
	Atomic   bool     `json:"a,omitempty"` // server-side apply: owned as a whole
	Keys     []string `json:"m,omitempty"` // server-side apply: the keys of list items
	Set      bool     `json:"e,omitempty"` // server-side apply: a set of scalars
	Number   int      `json:"n,omitempty"` // protobuf: the number of the field, none when it is not encoded
	Outer    int      `json:"u,omitempty"` // protobuf: the number of the message that holds the field
}

type Type struct {
	Fields map[string]Field       `json:"fields"`
	Atomic bool                   `json:"atomic,omitempty"`
	Defs   map[string]interface{} `json:"defaults,omitempty"` // of fields that are list keys
}

var (
	types = map[string]*Type{}
	merge = map[string]*smd.TypeDef{}
)

func loadSchema(module, path string) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	check(err)
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), path))
	check(err)
	text := string(source)
	start := strings.Index(text, "YAMLObject(`") + len("YAMLObject(`")
	end := strings.LastIndex(text, "`)")
	parser, err := typed.NewParser(typed.YAMLObject(text[start:end]))
	check(err)
	for i := range parser.Schema.Types {
		def := &parser.Schema.Types[i]
		merge[def.Name] = def
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func modelName(t reflect.Type) string {
	path := t.PkgPath()
	path = strings.Replace(path, "k8s.io/", "io.k8s.", 1)
	return strings.ReplaceAll(path, "/", ".") + "." + t.Name()
}

func expression(t reflect.Type) string {
	switch t.PkgPath() + "." + t.Name() {
	case "k8s.io/apimachinery/pkg/api/resource.Quantity":
		return "quantity"
	case "k8s.io/apimachinery/pkg/apis/meta/v1.Time":
		return "time"
	case "k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":
		return "microtime"
	case "k8s.io/apimachinery/pkg/apis/meta/v1.Duration":
		return "string"
	case "k8s.io/apimachinery/pkg/util/intstr.IntOrString":
		return "intorstring"
	case "k8s.io/apimachinery/pkg/runtime.RawExtension", "k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray":
		return "any"
	}
	switch t.Kind() {
	case reflect.Ptr:
		return expression(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64, reflect.Uint8:
		return "int"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + expression(t.Elem())
	case reflect.Map:
		return "{}" + expression(t.Elem())
	case reflect.Struct:
		name := modelName(t)
		describe(name, t)
		return name
	}
	panic(fmt.Sprintf("type %v", t))
}

func describe(name string, t reflect.Type) {
	if _, ok := types[name]; ok {
		return
	}
	out := &Type{Fields: map[string]Field{}}
	types[name] = out
	addFields(out, t, 0)
	def, ok := merge[name]
	if !ok || def.Map == nil {
		return
	}
	out.Atomic = def.Map.ElementRelationship == smd.Atomic
	for _, f := range def.Map.Fields {
		field, ok := out.Fields[f.Name]
		if !ok {
			continue
		}
		if list := f.Type.Inlined.List; list != nil {
			field.Atomic = list.ElementRelationship != smd.Associative
			field.Keys = list.Keys
			field.Set = list.ElementRelationship == smd.Associative && len(list.Keys) == 0
		}
		if m := f.Type.Inlined.Map; m != nil && m.ElementRelationship == smd.Atomic {
			field.Atomic = true
		}
		if f.Type.ElementRelationship != nil && *f.Type.ElementRelationship == smd.Atomic {
			field.Atomic = true
		}
		out.Fields[f.Name] = field
		if f.Default != nil {
			if text, ok := f.Default.(string); ok && text == "" {
				continue
			}
			if m, ok := f.Default.(map[interface{}]interface{}); ok && len(m) == 0 {
				continue
			}
			if m, ok := f.Default.(map[string]interface{}); ok && len(m) == 0 {
				continue
			}
			if out.Defs == nil {
				out.Defs = map[string]interface{}{}
			}
			out.Defs[f.Name] = f.Default
		}
	}
}

func protobufNumber(f reflect.StructField) int {
	parts := strings.Split(f.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return 0
	}
	number, err := strconv.Atoi(parts[1])
	check(err)
	return number
}

func addFields(out *Type, t reflect.Type, outer int) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		parts := strings.Split(tag, ",")
		if tag == "-" || !f.IsExported() {
			continue
		}
		if parts[0] == "" {
			inner := f.Type
			if inner.Kind() == reflect.Ptr {
				inner = inner.Elem()
			}
			number := protobufNumber(f)
			if number == 0 {
				number = -1
			}
			addFields(out, inner, number)
			continue
		}
		field := Field{
			Type:     expression(f.Type),
			Pointer:  f.Type.Kind() == reflect.Ptr,
			MergeKey: f.Tag.Get("patchMergeKey"),
			Strategy: f.Tag.Get("patchStrategy"),
		}
		// The type's own identity is inlined without a number: it travels outside the message.
		if outer >= 0 {
			field.Number, field.Outer = protobufNumber(f), outer
		}
		for _, option := range parts[1:] {
			// omitempty never leaves out a struct; omitzero does.
			isStruct := f.Type.Kind() == reflect.Struct
			if option == "omitzero" || option == "omitempty" && !isStruct {
				field.Omit = true
			}
		}
		out.Fields[parts[0]] = field
	}
}

func main() {
	loadSchema("k8s.io/client-go", "applyconfigurations/internal/internal.go")
	loadSchema("k8s.io/apiextensions-apiserver", "pkg/client/applyconfiguration/internal/internal.go")
	scheme := runtime.NewScheme()
	check(clientscheme.AddToScheme(scheme))
	check(apiextensions.AddToScheme(scheme))
	check(apiregistration.AddToScheme(scheme))
	roots := map[string]string{}
	for _, line := range strings.Split(kinds, "\n") {
		words := strings.Fields(line)
		version, err := schema.ParseGroupVersion(words[0])
		check(err)
		for _, kind := range words[1:] {
			object, err := scheme.New(version.WithKind(kind))
			check(err)
			roots[words[0]+" "+kind] = expression(reflect.TypeOf(object))
		}
	}
	roots["v1 DeleteOptions"] = expression(reflect.TypeOf(metav1.DeleteOptions{}))
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "")
	check(encoder.Encode(map[string]interface{}{"kinds": roots, "types": types}))
}
