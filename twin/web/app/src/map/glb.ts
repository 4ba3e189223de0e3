/** What a node of our 3D tiles says of a place on a body: read of its file, since the engine draws one set of ids only. */

type Vector = [number, number, number];

/** The kinds of the server's table of surfaces. */
const KINDS = ['UNKNOWN', 'GROUND', 'WALL', 'ROOF', 'CEILING', 'FLOOR', 'CLOSURE', 'WINDOW', 'DOOR'] as const;

/** A semantic surface, an installation or an element, as the table `surface` of a node has it. */
export interface Surface {
  surface: (typeof KINDS)[number];
  class: string | null;
  id: string | null;
  name: string | null;
}

interface Accessor {
  bufferView: number;
  componentType: number;
  count: number;
  type: string;
}
interface Property {
  values: number;
  stringOffsets?: number;
}
interface Document {
  nodes: { translation?: Vector }[];
  meshes: { primitives: { attributes: Record<string, number>; indices: number }[] }[];
  accessors: Accessor[];
  bufferViews: { byteOffset: number; byteLength: number; byteStride?: number }[];
  extensions: {
    EXT_structural_metadata: {
      schema: {
        classes: Record<string, { properties: Record<string, { enumType?: string; componentType?: string }> }>;
        enums?: Record<string, { values: { name: string; value: number }[] }>;
      };
      propertyTables: { class: string; count: number; properties: Record<string, Property> }[];
    };
  };
}

const JSON_AT = 20;
const READERS: Record<number, [size: number, read: 'getUint8' | 'getUint16' | 'getUint32' | 'getFloat32']> = {
  5121: [1, 'getUint8'],
  5123: [2, 'getUint16'],
  5125: [4, 'getUint32'],
  5126: [4, 'getFloat32'],
};
const WIDTHS: Record<string, number> = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };

/** A node's file (binary glTF 2.0), of which single numbers are read where they lie. */
export class Glb {
  private readonly document: Document;
  private readonly view: DataView;

  constructor(private readonly bytes: ArrayBuffer) {
    const head = new DataView(bytes);
    const length = head.getUint32(12, true);
    this.document = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, JSON_AT, length))) as Document;
    this.view = new DataView(bytes, JSON_AT + length + 8);
  }

  private number(accessor: number, index: number, axis = 0): number {
    const { bufferView, componentType, type } = this.document.accessors[accessor]!;
    const { byteOffset, byteStride } = this.document.bufferViews[bufferView]!;
    const [size, read] = READERS[componentType]!;
    return this.view[read](byteOffset + index * (byteStride ?? size * WIDTHS[type]!) + axis * size, true);
  }

  private vector(accessor: number, index: number): Vector {
    return [this.number(accessor, index), this.number(accessor, index, 1), this.number(accessor, index, 2)];
  }

  /** A value of a property table; null where it has no such property, or no text. */
  private cell(table: number, property: string, row: number): string | number | null {
    const { schema, propertyTables } = this.document.extensions.EXT_structural_metadata;
    const { class: of, properties } = propertyTables[table]!;
    const entry = properties[property];
    if (!entry) return null;
    const { byteOffset } = this.document.bufferViews[entry.values]!;
    const { enumType, componentType } = schema.classes[of]!.properties[property]!;
    if (enumType) {
      const value = this.view.getUint8(byteOffset + row);
      return schema.enums![enumType]!.values.find((one) => one.value === value)?.name ?? null;
    }
    if (entry.stringOffsets === undefined) {
      return componentType === 'INT32' ? this.view.getInt32(byteOffset + 4 * row, true) : this.view.getFloat64(byteOffset + 8 * row, true);
    }
    const offsets = this.document.bufferViews[entry.stringOffsets]!.byteOffset;
    const [from, to] = [this.view.getUint32(offsets + 4 * row, true), this.view.getUint32(offsets + 4 * row + 4, true)];
    const start = this.view.byteOffset + byteOffset;
    return new TextDecoder().decode(new Uint8Array(this.bytes, start + from, to - from)) || null;
  }

  /** The second id of the nearest of a row's triangles that a ray meets. */
  private part(row: number, origin: Vector, direction: Vector): number | null {
    const from = minus(upright(origin), this.document.nodes[0]!.translation ?? [0, 0, 0]);
    const along = upright(direction);
    let nearest = Infinity;
    let part: number | null = null;
    for (const { attributes, indices } of this.document.meshes[0]!.primitives) {
      const [positions, ids, parts] = [attributes['POSITION']!, attributes['_FEATURE_ID_0']!, attributes['_FEATURE_ID_1']!];
      for (let at = 0; at < this.document.accessors[indices]!.count; at += 3) {
        const corners = [0, 1, 2].map((corner) => this.number(indices, at + corner));
        if (this.number(ids, corners[0]!) !== row) continue;
        const distance = meets(from, along, corners.map((one) => this.vector(positions, one)) as [Vector, Vector, Vector]);
        if (distance === null || distance >= nearest) continue;
        nearest = distance;
        part = this.number(parts, corners[0]!);
      }
    }
    return part;
  }

  /** The surface of a feature that a ray meets first; null where it names none. The ray is geocentric (metres). */
  surface(fid: number, origin: Vector, direction: Vector): Surface | null {
    const { propertyTables } = this.document.extensions.EXT_structural_metadata;
    if (propertyTables.length < 2) return null;
    const { count } = propertyTables[0]!;
    let row = 0;
    while (row < count && this.cell(0, 'fid', row) !== fid) row += 1;
    const part = this.part(row, origin, direction);
    if (part === null || part >= propertyTables[1]!.count) return null;
    const text = (property: string): string | null => this.cell(1, property, part) as string | null;
    const kind = KINDS.find((one) => one === text('surface')) ?? 'UNKNOWN';
    return { surface: kind, class: text('class'), id: text('id'), name: text('name') };
  }
}

/** Geocentric axes as glTF has them: y is up. */
function upright([x, y, z]: Vector): Vector {
  return [x, z, -y];
}

function minus(a: Vector, b: Vector): Vector {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** How far along a ray it meets a triangle; null where it does not (Möller and Trumbore, 1997). */
export function meets(origin: Vector, direction: Vector, [a, b, c]: [Vector, Vector, Vector]): number | null {
  const [side, other] = [minus(b, a), minus(c, a)];
  const normal = cross(direction, other);
  const scale = dot(side, normal);
  if (Math.abs(scale) < 1e-12) return null;
  const from = minus(origin, a);
  const u = dot(from, normal) / scale;
  const across = cross(from, side);
  const v = dot(direction, across) / scale;
  const distance = dot(other, across) / scale;
  return u >= 0 && v >= 0 && u + v <= 1 && distance >= 0 ? distance : null;
}
