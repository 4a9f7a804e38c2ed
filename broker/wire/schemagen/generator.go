package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"log"
	"slices"
	"strconv"
	"strings"
)

type generator struct {
	sizes types.Sizes
	scope *types.Scope
	read  map[string]*ast.BlockStmt // bodies of the readFrom methods by type
}

// fixed are the primitives of kbin.Reader that take a fixed number of bytes.
var fixed = map[string]int{
	"Bool": 1, "Int8": 1, "Int16": 2, "Uint16": 2, "Int32": 4, "Uint32": 4, "Int64": 8, "Float64": 8, "Uuid": 16,
}

func (g *generator) message(m any) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*kmsg.")
	body, ok := g.read[name]
	if !ok {
		log.Fatalf("%s has no readFrom", name)
	}
	return g.fields(body.List)
}

// fields turns the statements that read a struct into text.
func (g *generator) fields(stmts []ast.Stmt) string {
	var out []string
	run := 0 // bytes of adjacent fixed fields
	flush := func() {
		if run > 0 {
			out = append(out, strconv.Itoa(run))
			run = 0
		}
	}
	for _, s := range stmts {
		text := ""
		switch s := s.(type) {
		case *ast.BlockStmt:
			text = g.field(s.List)
		case *ast.IfStmt:
			text = g.conditional(s)
		}
		if n, err := strconv.Atoi(text); err == nil {
			run += n
		} else if text != "" {
			flush()
			out = append(out, text)
		}
	}
	flush()
	return strings.Join(out, " ")
}

func (g *generator) conditional(s *ast.IfStmt) string {
	if id, ok := s.Cond.(*ast.Ident); ok && id.Name == "isFlexible" {
		return g.tags(s.Body)
	}
	lo, hi, ok := versions(s.Cond)
	if !ok {
		return "" // "if !b.Ok()" and the like
	}
	text := g.field(s.Body.List)
	if lo == 0 && hi < 0 {
		return text
	}
	upTo := ""
	if hi >= 0 {
		upTo = strconv.Itoa(hi)
	}
	return fmt.Sprintf("v%d-%s(%s)", lo, upTo, text)
}

// versions understands "version >= a" and "version >= a && version <= b".
func versions(cond ast.Expr) (lo, hi int, ok bool) {
	b, isBinary := cond.(*ast.BinaryExpr)
	if !isBinary {
		return 0, 0, false
	}
	if b.Op == token.LAND {
		lo, _, ok1 := versions(b.X)
		right, isBinary := b.Y.(*ast.BinaryExpr)
		if !ok1 || !isBinary || right.Op != token.LEQ {
			return 0, 0, false
		}
		return lo, number(right.Y), true
	}
	if id, isIdent := b.X.(*ast.Ident); !isIdent || id.Name != "version" || b.Op != token.GEQ {
		return 0, 0, false
	}
	return number(b.Y), -1, true
}

func number(e ast.Expr) int {
	n, err := strconv.Atoi(e.(*ast.BasicLit).Value)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

// field turns the block that reads one field into text.
func (g *generator) field(stmts []ast.Stmt) string {
	calls := readerCalls(&ast.BlockStmt{List: stmts}, false)
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(calls, n) })
	}
	switch {
	case len(stmts) == 1 && isNullableStruct(stmts[0]):
		return "?(" + g.fields(stmts[0].(*ast.IfStmt).Body.List) + ")"
	case slices.ContainsFunc(stmts, isStruct):
		return g.fields(stmts)
	case has("ArrayLen"):
		return g.array(stmts)
	case has("String", "NullableString"):
		return "s"
	case has("Bytes", "NullableBytes"):
		return "x"
	}
	for _, c := range calls {
		if n, ok := fixed[c]; ok {
			return strconv.Itoa(n)
		}
	}
	log.Fatalf("a field that reads %v", calls)
	return ""
}

func isNullableStruct(s ast.Stmt) bool {
	i, ok := s.(*ast.IfStmt)
	return ok && i.Init != nil && slices.Contains(readerCalls(i.Init, true), "Int8")
}

func (g *generator) array(stmts []ast.Stmt) string {
	for _, s := range stmts {
		loop, ok := s.(*ast.ForStmt)
		if !ok {
			continue
		}
		var element string
		inner := readerCalls(loop.Body, false)
		switch {
		case slices.ContainsFunc(loop.Body.List, isStruct):
			element = g.fields(loop.Body.List)
		case slices.Contains(inner, "ArrayLen"): // an array of arrays
			element = g.array(loop.Body.List)
		default:
			element = g.field(loop.Body.List)
		}
		return fmt.Sprintf("a%d(%s)", g.elementSize(stmts), element)
	}
	log.Fatal("an array without a loop")
	return ""
}

// isStruct finds the "s := v" with which the reading of a struct's fields begins.
func isStruct(s ast.Stmt) bool {
	a, ok := s.(*ast.AssignStmt)
	if !ok || len(a.Lhs) != 1 {
		return false
	}
	id, ok := a.Lhs[0].(*ast.Ident)
	return ok && id.Name == "s"
}

// elementSize finds "make([]T, l)" and returns the size of T in memory.
func (g *generator) elementSize(stmts []ast.Stmt) int64 {
	var size int64
	for _, s := range stmts {
		if _, ok := s.(*ast.ForStmt); ok {
			break
		}
		ast.Inspect(s, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "make" {
				size = g.sizes.Sizeof(g.typeOf(call.Args[0].(*ast.ArrayType).Elt))
			}
			return true
		})
	}
	if size == 0 {
		log.Fatal("an array without an allocation")
	}
	return size
}

func (g *generator) typeOf(e ast.Expr) types.Type {
	switch e := e.(type) {
	case *ast.Ident:
		if o := g.scope.Lookup(e.Name); o != nil {
			return o.Type()
		}
		return types.Universe.Lookup(e.Name).Type()
	case *ast.ArrayType:
		if e.Len == nil {
			return types.NewSlice(g.typeOf(e.Elt))
		}
		return types.NewArray(g.typeOf(e.Elt), int64(number(e.Len)))
	}
	log.Fatalf("unexpected element type %T", e)
	return nil
}

// tags turns the reading of tagged fields into "T", with the known ones in braces.
func (g *generator) tags(body *ast.BlockStmt) string {
	loop, ok := body.List[0].(*ast.ForStmt)
	if !ok {
		return "T"
	}
	var known []string
	for _, c := range loop.Body.List[0].(*ast.SwitchStmt).Body.List {
		c := c.(*ast.CaseClause)
		if c.List == nil {
			continue
		}
		// Case clauses hold the field's statements bare; put them into one block.
		known = append(known, fmt.Sprintf("%d:(%s)", number(c.List[0]), g.field(c.Body[1:len(c.Body)-1])))
	}
	return "T{" + strings.Join(known, " ") + "}"
}

// readerCalls returns the methods of the reader b called below n; with shallow set only those in n itself.
func readerCalls(n ast.Node, shallow bool) []string {
	var names []string
	ast.Inspect(n, func(n ast.Node) bool {
		if _, ok := n.(*ast.BlockStmt); ok && shallow {
			return false
		}
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == "b" {
				names = append(names, sel.Sel.Name)
			}
		}
		return true
	})
	return names
}
