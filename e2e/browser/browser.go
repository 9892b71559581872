package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Page is one tab. Use Open.
type Page struct {
	ctx   context.Context
	close []context.CancelFunc

	mu   sync.Mutex
	said []string
}

// Chromium is the browser's program.
func Chromium() (string, error) {
	if named := os.Getenv("CHROMIUM"); named != "" {
		return named, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium was found: on Debian, apt-get install --no-install-recommends chromium, or name one by CHROMIUM")
}

// Open starts a browser and has it show a URL, whatever certificate a server shows. It ends
// with ctx, or Close.
func Open(ctx context.Context, url string) (*Page, error) {
	program, err := Chromium()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.Flag("ignore-certificate-errors", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it refuses root a sandbox
	}
	p := &Page{}
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	p.close = append(p.close, stop)
	p.ctx, stop = chromedp.NewContext(ctx, chromedp.WithListener(p.listen))
	p.close = append(p.close, stop)
	if err := chromedp.Do(p.ctx, chromedp.Navigate(url)); err != nil {
		p.Close()
		return nil, fmt.Errorf("open %s in %s: %w", url, program, err)
	}
	return p, nil
}

// Close ends the browser.
func (p *Page) Close() {
	for i := len(p.close) - 1; i >= 0; i-- {
		p.close[i]()
	}
}

// listen notes what goes wrong in the page. That a server cannot be reached is no fault of
// the page: it is not noted by the browser as an exception.
func (p *Page) listen(event any) {
	said := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		said = e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			said += " " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError && e.Type != runtime.ConsoleAPICalledTypeWarning {
			return
		}
		said = string(e.Type)
		for _, a := range e.Args {
			said += fmt.Sprintf(" %s %s", a.Value, a.Description)
		}
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, said)
}

// Errors are the exceptions, errors and warnings of the page so far.
func (p *Page) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.said...)
}

// Text is what a person reads of the element that a CSS selector finds first.
func (p *Page) Text(selector string) (string, error) {
	return Evaluate[string](p, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}

// Evaluate evaluates a JavaScript expression, which may be a promise.
func Evaluate[T any](p *Page, expression string) (T, error) {
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		err = fmt.Errorf("evaluate %.80s: %w", expression, err)
	}
	return v, err
}

// Click clicks the first element that a CSS selector finds and that contains a text.
func (p *Page) Click(selector, text string) error {
	found, err := Evaluate[bool](p, fmt.Sprintf(`(() => {
		const e = [...document.querySelectorAll(%q)].find((e) => e.textContent.includes(%q));
		e?.click();
		return !!e;
	})()`, selector, text))
	if err == nil && !found {
		err = fmt.Errorf("no %s has the text %q", selector, text)
	}
	return err
}

// Type types a text into the first element that a CSS selector finds, in the place of what
// it has, and Enter.
func (p *Page) Type(selector, text string) error {
	found, err := Evaluate[bool](p, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e?.focus(); e?.select?.(); return e === document.activeElement; })()`, selector))
	if err == nil && !found {
		err = fmt.Errorf("nothing can be typed into %s", selector)
	}
	if err != nil {
		return err
	}
	return p.Press(text + kb.Enter)
}

// Press presses a key, as chromedp's package kb names them.
func (p *Page) Press(key string) error {
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent(key)); err != nil {
		return fmt.Errorf("press a key: %w", err)
	}
	return nil
}

// Look is how somebody looks at the page.
type Look struct {
	Width, Height int64 // CSS pixels
	Dark          bool
}

// Resize has the page be looked at so.
func (p *Page) Resize(l Look) error {
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	err := chromedp.Do(p.ctx, chromedp.EmulateViewport(l.Width, l.Height))
	if err == nil {
		_, err = chromedp.Call(p.ctx, emulation.SetEmulatedMedia, media)
	}
	if err == nil { // until it is painted so
		_, err = Evaluate[bool](p, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
	}
	if err != nil {
		return fmt.Errorf("look at %dx%d: %w", l.Width, l.Height, err)
	}
	return nil
}

// Picture writes a picture of the whole page to a PNG file.
func (p *Page) Picture(file string) error {
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return fmt.Errorf("take a picture: %w", err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		return fmt.Errorf("keep a picture: %w", err)
	}
	return nil
}
