package conventions

import (
	"go/ast"
	"go/token"
	"go/types"
	"testing"
)

// TestNoNameShadowsABuiltin: neither a function, a method, a parameter, a
// variable nor a type is called as a function is that the language has.
func TestNoNameShadowsABuiltin(t *testing.T) {
	for _, s := range sources(t) {
		for _, id := range declared(s.File) {
			if _, builtin := types.Universe.Lookup(id.Name).(*types.Builtin); builtin {
				t.Errorf("%s:%d: %s is called like the builtin function: give it the name of what it does", s.path, s.line(id.Pos()), id.Name)
			}
		}
	}
}

// declared returns the names that a file declares, but for the fields of
// structs and the methods of interfaces, which are never named without what
// they belong to.
func declared(file *ast.File) (names []*ast.Ident) {
	fields := func(lists ...*ast.FieldList) {
		for _, list := range lists {
			if list == nil {
				continue
			}
			for _, field := range list.List {
				names = append(names, field.Names...)
			}
		}
	}
	expressions := func(tok token.Token, list ...ast.Expr) {
		for _, e := range list {
			if id, ok := e.(*ast.Ident); ok && tok == token.DEFINE {
				names = append(names, id)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			names = append(names, n.Name)
			fields(n.Recv)
		case *ast.FuncType:
			fields(n.TypeParams, n.Params, n.Results)
		case *ast.TypeSpec:
			names = append(names, n.Name)
			fields(n.TypeParams)
		case *ast.ValueSpec:
			names = append(names, n.Names...)
		case *ast.AssignStmt:
			expressions(n.Tok, n.Lhs...)
		case *ast.RangeStmt:
			expressions(n.Tok, n.Key, n.Value)
		}
		return true
	})
	return names
}
