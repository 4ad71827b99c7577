//! SVG charts for print: as PNG or as a part of a paper.

use anyhow::Context;
use resvg::tiny_skia::{Pixmap, PremultipliedColorU8, Transform};
use resvg::usvg::{Options, Tree};

use crate::report::fonts;

/// Pixels of a PNG per pixel of its SVG.
const SCALE: f32 = 2.5;

/// Resolution in a PNG's metadata: a chart of 800 SVG pixels is 17 cm wide, about the text width of
/// A4.
const DOTS_PER_INCH: f32 = 300.0;

/// Parses an SVG.
///
/// # Errors
/// The text is not an SVG.
pub(crate) fn tree(svg: &str) -> anyhow::Result<Tree> {
    let options = Options { fontdb: fonts::database(), ..Options::default() };
    Tree::from_str(svg, &options).context("cannot parse the SVG of a chart")
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
    fn invalid_svg_is_refused() {
        assert!(png("<html>").is_err());
    }
}
