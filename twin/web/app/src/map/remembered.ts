/**
 * An expression of a style that remembers what it came to for the same properties. Most features of a layer differ in
 * few of them; the engine reads each anew for each condition, and colours from their text. Private parts: the members
 * in which the engine's style holds its expressions; set through their setters, the text of the style would go too.
 */

import { Color, type Cesium3DTileStyle } from '@cesium/engine';

/** As a style asks for properties. */
export interface Asked {
  getPropertyInherited(name: string): unknown;
}

interface Expression {
  evaluate(feature: Asked, result?: unknown): unknown;
  evaluateColor(feature: Asked, result: Color): Color;
  getVariables(): string[];
}

const MOST_KEPT = 4096;
const FID = 'fid';
const COLOURS = ['_color', '_pointOutlineColor'] as const;
const VALUES = ['_show', '_lineWidth', '_pointSize', '_pointOutlineWidth'] as const;

class Remembered<Value> {
  private readonly known = new Map<string, Value>();
  private readonly names: string[];

  constructor(
    protected readonly expression: Expression,
    /** The features that are painted apart from their properties. */
    private readonly meant: ReadonlySet<unknown>,
    private readonly fresh: (feature: Asked) => Value,
  ) {
    this.names = [...new Set(expression.getVariables())].filter((name) => name !== FID || meant.size > 0);
  }

  getVariables(): string[] {
    return this.expression.getVariables();
  }

  private key(feature: Asked): string {
    let key = '';
    for (const name of this.names) {
      const value = feature.getPropertyInherited(name);
      if (name !== FID || this.meant.has(value)) key += `${typeof value} ${String(value)}`;
      key += '\u0000';
    }
    return key;
  }

  protected found(feature: Asked): Value {
    const key = this.key(feature);
    if (!this.known.has(key)) {
      if (this.known.size >= MOST_KEPT) this.known.clear();
      this.known.set(key, this.fresh(feature));
    }
    return this.known.get(key)!;
  }

  evaluate(feature: Asked, _result?: unknown): unknown {
    return this.found(feature);
  }
}

class RememberedColour extends Remembered<Color> {
  constructor(expression: Expression, meant: ReadonlySet<unknown>) {
    super(expression, meant, (feature) => expression.evaluateColor(feature, new Color()));
  }

  override evaluate(feature: Asked, result?: Color): Color {
    return Color.clone(this.found(feature), result);
  }

  evaluateColor(feature: Asked, result: Color): Color {
    return this.evaluate(feature, result);
  }
}

/** The same style, which paints the same. */
export function remembering(style: Cesium3DTileStyle): Cesium3DTileStyle {
  const text = JSON.stringify(style.style);
  const meant = new Set([...text.matchAll(/\$\{fid\} [!=]== (-?\d+)/g)].map(([, fid]) => Number(fid)));
  const own = style as unknown as Record<string, Expression | Remembered<unknown> | undefined>;
  for (const name of COLOURS) {
    if (own[name]) own[name] = new RememberedColour(own[name] as Expression, meant);
  }
  for (const name of VALUES) {
    const expression = own[name] as Expression | undefined;
    if (expression) own[name] = new Remembered(expression, meant, (feature) => expression.evaluate(feature));
  }
  return style;
}
