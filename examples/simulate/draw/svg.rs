//! Writes SVG as text.

use std::fmt::Write;

/// A picture that is being written.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    out: String,
}

/// A text with the characters that mean something in XML written otherwise, and those that may not
/// stand in it left out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

impl Svg {
    /// Begins a group of a class, with a title that is shown under a pointer.
    pub(crate) fn group(&mut self, class: &str, title: &str) {
        self.write(format_args!("<g class=\"{}\"><title>{}</title>", escape(class), escape(title)));
    }

    /// Ends a group.
    pub(crate) fn end_group(&mut self) {
        self.write(format_args!("</g>\n"));
    }

    /// A straight line.
    pub(crate) fn line(&mut self, class: &str, colour: &str, from: (f64, f64), to: (f64, f64)) {
        self.write(format_args!(
            "<line class=\"{class}\" stroke=\"{colour}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" \
             y2=\"{:.1}\"/>\n",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A filled shape with straight edges.
    pub(crate) fn polygon(&mut self, colour: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.write(format_args!("<polygon fill=\"{colour}\" points=\"{}\"/>\n", points.join(" ")));
    }

    /// A rectangle, by its upper left corner, its width and its height.
    pub(crate) fn rect(&mut self, class: &str, fill: &str, at: (f64, f64), size: (f64, f64)) {
        self.write(format_args!(
            "<rect class=\"{class}\" fill=\"{fill}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
             height=\"{:.1}\"/>\n",
            at.0, at.1, size.0, size.1
        ));
    }

    /// A circle.
    pub(crate) fn circle(&mut self, class: &str, fill: &str, at: (f64, f64), radius: f64) {
        self.write(format_args!(
            "<circle class=\"{class}\" fill=\"{fill}\" cx=\"{:.1}\" cy=\"{:.1}\" \
             r=\"{radius:.1}\"/>\n",
            at.0, at.1
        ));
    }

    /// A line of text.
    pub(crate) fn text(&mut self, class: &str, colour: &str, at: (f64, f64), text: &str) {
        self.write(format_args!(
            "<text class=\"{class}\" fill=\"{colour}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            at.0,
            at.1,
            escape(text)
        ));
    }

    /// The whole picture, of this size, with these style rules, on white.
    pub(crate) fn finish(self, title: &str, style: &str, (width, height): (f64, f64)) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" \
             width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n\
             <title>{}</title>\n<style>{style}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escape(title),
            self.out
        )
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        self.out.write_fmt(what).expect("a String takes any text");
    }
}
