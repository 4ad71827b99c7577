//! Pictures for print: SVG as PNG or as a part of a paper, and pictures of users.

use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail, ensure};
use resvg::tiny_skia::{Pixmap, PremultipliedColorU8, Transform};
use resvg::usvg::{ImageHrefResolver, ImageKind, Options, Tree};

use crate::report::fonts;

/// Pixels of a PNG per pixel of its SVG.
const SCALE: f32 = 2.5;

/// Resolution in a PNG's metadata: a chart of 800 SVG pixels is 17 cm wide, about the text width of
/// A4.
const DOTS_PER_INCH: f32 = 300.0;

/// Most pixels of a PNG of a user.
const MOST_PIXELS: u64 = 25_000_000;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Parses an SVG.
///
/// # Errors
/// The text is not an SVG.
pub(crate) fn tree(svg: &str) -> anyhow::Result<Tree> {
    let options = Options { fontdb: fonts::database(), ..Options::default() };
    Tree::from_str(svg, &options).context("cannot parse the SVG of a chart")
}

/// Parses a picture of a user: PNG or SVG. Texts of an SVG are set in the fonts of the paper.
///
/// # Errors
/// The data are neither PNG nor SVG, are damaged or too large, or refer to another file.
pub(crate) fn of_user(data: &[u8]) -> anyhow::Result<Tree> {
    if data.starts_with(PNG_SIGNATURE) {
        return of_png(data);
    }
    match std::str::from_utf8(data) {
        Ok(text) if text.contains("<svg") => of_svg(text),
        _ => bail!("it is neither PNG nor SVG; convert it to one of them"),
    }
}

fn of_png(data: &[u8]) -> anyhow::Result<Tree> {
    const DAMAGED: &str = "the PNG is damaged";
    let mut reader = png::Decoder::new(Cursor::new(data)).read_info().context(DAMAGED)?;
    let (width, height) = reader.info().size();
    ensure!(
        u64::from(width) * u64::from(height) <= MOST_PIXELS,
        "it has {width} × {height} pixels; scale it to at most 25 million"
    );
    // The PDF is written from the file, so that a damaged one would be noticed too late.
    let mut pixels = vec![0; reader.output_buffer_size().context(DAMAGED)?];
    reader.next_frame(&mut pixels).context(DAMAGED)?;
    let data = Arc::new(data.to_vec());
    let image_href_resolver = ImageHrefResolver {
        resolve_string: Box::new(move |_, _| Some(ImageKind::PNG(Arc::clone(&data)))),
        ..ImageHrefResolver::default()
    };
    let options = Options { image_href_resolver, ..Options::default() };
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\
         <image href=\"data\" width=\"{width}\" height=\"{height}\"/></svg>"
    );
    Tree::from_str(&svg, &options).context(DAMAGED)
}

fn of_svg(text: &str) -> anyhow::Result<Tree> {
    let outside = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&outside);
    let image_href_resolver = ImageHrefResolver {
        resolve_string: Box::new(move |address, _| {
            let mut first = seen.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| address.to_owned());
            None
        }),
        ..ImageHrefResolver::default()
    };
    let options = Options { fontdb: fonts::database(), image_href_resolver, ..Options::default() };
    let tree = Tree::from_str(text, &options).context("the SVG is damaged")?;
    let outside = outside.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(address) = outside {
        bail!("it refers to {address}; embed that picture in the file");
    }
    Ok(tree)
}

/// Renders an SVG as PNG at print resolution.
///
/// # Errors
/// The text is not an SVG.
pub(crate) fn png(svg: &str) -> anyhow::Result<Vec<u8>> {
    let tree = tree(svg)?;
    let size = tree.size().to_int_size().scale_by(SCALE).context("the chart has no size")?;
    let mut pixmap = Pixmap::new(size.width(), size.height()).context("the chart is too large")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixmap.as_mut());
    let rgb: Vec<u8> = pixmap
        .pixels()
        .iter()
        .map(PremultipliedColorU8::demultiply)
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
        .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.width(), size.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let per_metre = (DOTS_PER_INCH / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre,
        yppu: per_metre,
        unit: png::Unit::Meter,
    }));
    encoder.write_header()?.write_image_data(&rgb)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<svg width=\"80\" height=\"40\" xmlns=\"http://www.w3.org/2000/svg\">\
        <rect width=\"80\" height=\"40\" fill=\"#fff\"/>\
        <text x=\"5\" y=\"30\" font-family=\"sans-serif\" font-size=\"30\">mm</text></svg>";

    #[test]
    fn a_picture_has_print_resolution_and_letters() {
        let file = png(SVG).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let info = reader.info();
        assert_eq!((info.width, info.height), (200, 100));
        assert_eq!(info.pixel_dims.unwrap().xppu, 11_811);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert!(pixels.contains(&255) && pixels.contains(&0), "dark text on a light background");
    }

    #[test]
    fn pictures_of_users_are_recognised_by_their_content() {
        let file = png(SVG).unwrap();
        let tree = of_user(&file).unwrap();
        assert_eq!((tree.size().width(), tree.size().height()), (200.0, 100.0));
        assert!(tree.root().has_children(), "the image is part of the picture");
        let tree = of_user(SVG.as_bytes()).unwrap();
        assert_eq!((tree.size().width(), tree.size().height()), (80.0, 40.0));
        let named = SVG.replace("sans-serif", "Some Font");
        assert_eq!(png(&named).unwrap(), png(SVG).unwrap(), "the font of the paper replaces it");
    }

    #[test]
    fn unusable_pictures_of_users_are_refused() {
        let refused = |data: &[u8]| format!("{:#}", of_user(data).unwrap_err());
        let mut cut = png(SVG).unwrap();
        cut.truncate(cut.len() / 2);
        assert!(refused(&cut).starts_with("the PNG is damaged: "), "{}", refused(&cut));
        for neither in [&b"GIF89a"[..], b"", b"plain text", &[0xff, 0xfe]] {
            assert!(refused(neither).starts_with("it is neither PNG nor SVG"));
        }
        assert!(refused(b"<svg").starts_with("the SVG is damaged: "));
        let outside =
            SVG.replace("<text", "<image href=\"other.png\" width=\"9\" height=\"9\"/><text");
        let expected = "it refers to other.png; embed that picture in the file";
        assert_eq!(refused(outside.as_bytes()), expected);
    }

    #[test]
    fn invalid_svg_is_refused() {
        assert!(png("<html>").is_err());
    }
}
